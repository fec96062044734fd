import { hash } from 'node:crypto'
import { createRandom, type Random } from '../../src/demo/random.ts'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import type { Call } from '../faults/history/call.ts'
import { checkHistory, type Verdict } from '../faults/history/checkHistory.ts'
import { faultText } from '../faults/history/faults.ts'
import type { ReadModelRows } from '../faults/history/readModelRows.ts'
import { defineKinds, runClient, type World as SharedWork } from '../faults/workload.ts'
import { makePlan, type Plan } from './plan.ts'
import type { Plant } from './plants.ts'
import { QueueClient } from './queueClient.ts'
import { Actor, Scheduler } from './scheduler.ts'
import { type ClientParts, SimulatedClient } from './simulatedClient.ts'
import { makeTrouble } from './trouble.ts'
import { takeOverTime } from './virtualTime.ts'
import { World } from './world.ts'

export interface SimulationResult {
  readonly seed: number
  readonly plan: Plan
  readonly verdict: Verdict
  /** The checker's and those that only a simulation can see, in text; empty: all is well. */
  readonly faults: readonly string[]
  /** Equal for two runs when every task, call and event was. */
  readonly traceHash: string
  readonly tasks: number
  readonly simulatedMs: number
}

/** Of trouble: whoever is not done by then is given up. */
const troubleMsMax = 60_000
/** In which all must be well again once nothing goes wrong any more. */
const recoveryMsMax = 60_000

/** One run of the service by a seed: the same seed, the same run. `plant`: a bug to be found. */
export async function simulate(seed: number, plant: Plant = {}): Promise<SimulationResult> {
  const random = createRandom(seed)
  const drawn = makePlan(random.fork('plan'))
  const plan = plant.plan?.(drawn) ?? drawn
  const scheduler = new Scheduler()
  const giveTimeBack = takeOverTime(scheduler, random.fork('global'))
  try {
    return await new Simulation(seed, plan, plant, scheduler, random).run()
  } finally {
    giveTimeBack()
  }
}

class Simulation {
  readonly #seed: number
  readonly #plan: Plan
  readonly #plant: Plant
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #world: World
  readonly #calls: Call[] = []
  readonly #faults: string[] = []
  readonly #ending = new AbortController()
  #open = 0

  constructor(seed: number, plan: Plan, plant: Plant, scheduler: Scheduler, random: Random) {
    this.#seed = seed
    this.#plan = plan
    this.#plant = plant
    this.#scheduler = scheduler
    this.#random = random
    this.#world = new World(plan, plant, scheduler, random.fork('world'))
  }

  async run(): Promise<SimulationResult> {
    const { heal } = makeTrouble(this.#world, this.#plan, this.#random.fork('trouble'))
    this.#startClients()
    await this.#scheduler.run(() => this.#calls.length >= this.#plan.calls || this.#open === 0, troubleMsMax)
    this.#ending.abort()
    await this.#scheduler.run(() => this.#open === 0, this.#random.fork('heal').next() * 2_000)
    heal()
    await this.#expectSoon('all clients are answered', () => this.#open === 0)
    await this.#expectSoon('nothing is under way', () => this.#world.isQuiet)
    // A batch may come to its end in several steps.
    await this.#scheduler.run(() => false, 10)
    await this.#expectSoon('the read model is what the log says', () => this.#isCaughtUp)
    return this.#judge()
  }

  #startClients(): void {
    const { clients, queueClients, nodes, kinds, operationsPerKind, pauseMs } = this.#plan
    const work: SharedWork = {
      kinds,
      operationsPerKind,
      largeLength: 300,
      reportsPerGeneration: 40,
      recent: [],
      reports: 0,
    }
    const parts: ClientParts = {
      network: this.#world.network,
      nodeAt: (address) => this.#world.nodeAt(address),
      addresses: nodes,
      calls: this.#calls,
      unknownIsSettled: this.#plan.log.unknownLate === 0,
    }
    const giveUp = new AbortController().signal
    const pause = (ms: number) => this.#scheduler.pause(ms)
    for (let n = 0; n < clients; n += 1) {
      const name = `c${n}`
      const actor = new Actor(name)
      this.#startAs(actor, async () => {
        const client = new SimulatedClient(actor, n, parts)
        if (n === 0) await this.#defineKinds(client)
        const random = this.#random.fork(name)
        await runClient({
          name,
          client,
          world: work,
          random,
          pauseMs: Math.max(pauseMs, 0.1),
          signal: this.#ending.signal,
          giveUp,
          pause,
        })
      })
    }
    for (let n = 0; n < queueClients; n += 1) {
      const actor = new Actor(`q${n}`)
      const random = this.#random.fork(actor.name)
      this.#startAs(actor, () => this.#useQueue(new QueueClient(actor, n, random, parts), actor.name, random))
    }
  }

  #startAs(actor: Actor, work: () => Promise<void>): void {
    this.#open += 1
    this.#scheduler.after(
      0,
      () =>
        void work()
          .catch((error: unknown) => {
            this.#faults.push(`${actor.name} failed: ${error instanceof Error ? error.stack : String(error)}`)
          })
          .finally(() => {
            this.#open -= 1
          }),
      actor,
    )
  }

  /** Sent again until they are defined: others may report on them before. */
  async #defineKinds(client: SimulatedClient): Promise<void> {
    for (;;) {
      try {
        return await defineKinds(client, this.#plan.kinds)
      } catch {
        client.goToNextNode()
        await this.#scheduler.pause(20)
      }
    }
  }

  /** Gives the library bursts of commands, without waiting for each answer. */
  async #useQueue(client: QueueClient, name: string, random: Random): Promise<void> {
    for (let n = 0; !this.#ending.signal.aborted; ) {
      const burst = Array.from({ length: random.integer(1, 6) }, () => {
        n += 1
        const { pipeline, steps } = random.pick(this.#plan.kinds)
        const { status, track } = random.pick(steps as [(typeof steps)[number]])
        const body = { type: 'ReportStatus', service: name, status, pipeline, data: { [name]: n } } as const
        const operation = `${pipeline}-0-${random.integer(1, this.#plan.operationsPerKind)}`
        const command = { operation, key: `${name}-${n}`, body: track === undefined ? body : { ...body, track } }
        return client.submit(command, random.chance(0.1) ? random.integer(1, 3_000) : undefined)
      })
      await Promise.all(burst)
      await this.#scheduler.pause(random.exponential(this.#plan.pauseMs + 1))
    }
  }

  async #expectSoon(what: string, isSo: () => boolean): Promise<void> {
    const stuck = !(await this.#scheduler.run(isSo, recoveryMsMax))
    if (stuck) this.#faults.push(`not_back_in_time: not within ${recoveryMsMax} ms: ${what}`)
  }

  get #isCaughtUp(): boolean {
    const { tables } = this.#world.database
    return this.#world.isUp && tables.used.position === this.#head && tables.rebuild === null
  }

  /** Positions are given out one by one. */
  get #head(): bigint {
    return this.#world.logServer.head
  }

  async #judge(): Promise<SimulationResult> {
    const truth = await this.#readLog(this.#world.logServer.truth)
    const events = this.#plant.shown?.(truth) ?? truth
    const { tables } = this.#world.database
    const readModel = tables.rows()
    const rebuilt = await this.#rebuild()
    const log = { events, head: this.#head, positionsWithoutGap: true }
    const evidence = { calls: this.#calls, log, readModel, ...(rebuilt === null ? {} : { rebuilt }) }
    const verdict = checkHistory(evidence)
    this.#faults.push(...verdict.faults.map(faultText), ...this.#auditFaults())
    const said = JSON.stringify([this.#calls, readModel, events], (_name, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    return {
      seed: this.#seed,
      plan: this.#plan,
      verdict,
      faults: this.#faults,
      traceHash: `${this.#scheduler.traceHash}-${hash('sha256', said).slice(0, 16)}`,
      tasks: this.#scheduler.tasksRun,
      simulatedMs: this.#scheduler.nowMs,
    }
  }

  async #readLog(log: EventLog): Promise<readonly RecordedEvent[]> {
    let events: readonly RecordedEvent[] | null = null
    void log.readAll({ after: 0n, maxCount: 10_000 }).then((all) => {
      events = all
    })
    await this.#scheduler.run(() => events !== null, 1_000)
    return events ?? []
  }

  /** The rows folded anew; null when this plan does without. */
  async #rebuild(): Promise<ReadModelRows | null> {
    if (!this.#plan.endsWithRebuild) return null
    const { tables } = this.#world.database
    tables.rebuild = { id: 'last', attempt: null, attempts: 0 }
    await this.#expectSoon('the read model is rebuilt', () => tables.rebuild === null)
    return tables.rows()
  }

  #auditFaults(): readonly string[] {
    return Array.from({ length: this.#plan.nodes }, (_, address) => this.#world.nodeAt(address).audit?.status())
      .filter((status) => status !== undefined && status.drifted.operation + status.drifted.count > 0)
      .map((status) => `read_model_row: the self-audit found drift: ${JSON.stringify(status)}`)
  }
}
