import type { Random } from '../../src/demo/random.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { createDatabaseServer, type DatabaseServer } from './database.ts'
import type { Network } from './network.ts'
import type { Plan } from './plan.ts'
import type { Plant } from './plants.ts'
import { type Actor, Pending, type Scheduler } from './scheduler.ts'
import { createLogServer, type LogServer } from './simulatedLog.ts'
import { SimulatedNode } from './simulatedNode.ts'
import { randomUuid } from './virtualTime.ts'

/** Servers, network and nodes of one run. */
export class World {
  readonly actor: Actor
  readonly logServer: LogServer
  readonly database: DatabaseServer
  readonly network: Network
  readonly scheduler: Scheduler
  readonly #plan: Plan
  readonly #plant: Plant
  readonly #random: Random
  readonly #nodes: SimulatedNode[] = []
  #starts = 0

  constructor(plan: Plan, plant: Plant, scheduler: Scheduler, random: Random) {
    this.#plan = plan
    this.#plant = plant
    this.#random = random
    this.scheduler = scheduler
    this.actor = scheduler.current
    const { latencyMs } = plan
    const truth = createMemoryEventLog()
    const log = plant.log?.(truth, random.fork('plant')) ?? truth
    const logId = randomUuid(random.fork('logId'))
    this.logServer = createLogServer(truth, log, { logId, latencyMs, faults: plan.log })
    this.database = createDatabaseServer(latencyMs, plan.rows)
    this.database.tables.isFenced = plant.isFenced ?? true
    this.network = {
      scheduler,
      random: random.fork('network'),
      latencyMs,
      faults: plan.network,
      underWay: new Pending(),
    }
    for (let address = 0; address < plan.nodes; address += 1) this.#start(address, 0)
  }

  nodeAt(address: number): SimulatedNode {
    const node = this.#nodes[address]
    if (node === undefined) throw new Error(`no node ${address}`)
    return node
  }

  /** All its memory is gone; after so many milliseconds another process takes its address. */
  crash(address: number, startsAfterMs: number): void {
    const node = this.nodeAt(address)
    if (!node.actor.isAlive) return
    node.kill()
    this.breakConnections(node.actor)
    this.scheduler.after(startsAfterMs, () => this.#start(address, node.actor.clockOffsetMs), this.actor)
  }

  /** Of one node, or of all. */
  breakConnections(node: Actor | null): void {
    for (const connection of this.database.connections) {
      if (node === null || connection.node === node) connection.break()
    }
  }

  /** Nothing that was sent can change the log any more. */
  get isQuiet(): boolean {
    const { network, logServer } = this
    const isIdle = (node: SimulatedNode) => node.commands.metrics.inFlight() === 0
    return network.underWay.isEmpty && this.isUp && this.#nodes.every(isIdle) && logServer.underWay.isEmpty
  }

  get isUp(): boolean {
    return this.#nodes.every(({ actor }) => actor.isAlive)
  }

  #start(address: number, clockOffsetMs: number): void {
    this.#starts += 1
    const before = this.scheduler.current
    this.#nodes[address] = new SimulatedNode(`n${address}#${this.#starts}`, clockOffsetMs, {
      plan: this.#plan,
      scheduler: this.scheduler,
      random: this.#random.fork(`node ${this.#starts}`),
      logServer: this.logServer,
      database: this.database,
      projectedAs: this.#plant.projectedAs ?? ((log) => log),
      snapshotsAs: this.#plant.snapshotsAs ?? ((snapshots) => snapshots),
    })
    this.scheduler.current = before
  }
}
