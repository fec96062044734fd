import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../src/demo/random.ts'
import type { CommandBody } from '../../src/operation/commands.ts'
import type { WriteAnswer } from './history/call.ts'
import type { OutgoingCommand, RecordingClient } from './history/recordingClient.ts'
import { type Kind, kinds } from './pipelines.ts'

/** What all clients of one run share. */
export interface World {
  readonly kinds: readonly [Kind, ...Kind[]]
  /** Operations of each pipeline at a time: few, so that clients meet on them. */
  readonly operationsPerKind: number
  /** Of the largest documents; a few are. */
  readonly largeLength: number
  /** Reports until they turn to new operations. */
  readonly reportsPerGeneration: number
  /** Commands sent of late: others may send them too, under the same key. */
  readonly recent: OutgoingCommand[]
  reports: number
}

export function newWorld(operationsPerKind = 4, reportsPerGeneration = 400): World {
  return { kinds, operationsPerKind, largeLength: 20_000, reportsPerGeneration, recent: [], reports: 0 }
}

/** Writes its calls down, and repeats nothing by itself. */
export type WorkloadClient = Pick<
  RecordingClient,
  'goToNextNode' | 'send' | 'sendBulk' | 'define' | 'read' | 'list' | 'feed'
>

export interface ClientRun {
  readonly name: string
  readonly client: WorkloadClient
  readonly world: World
  readonly random: Random
  /** Mean of the pauses between calls; 0: none. */
  readonly pauseMs: number
  /** What is under way is brought to its end; nothing new is begun. */
  readonly signal: AbortSignal
  /** What is under way stays open. */
  readonly giveUp: AbortSignal
  /** Settles after so many milliseconds. Default: by the machine's clock. */
  readonly pause?: (ms: number) => Promise<unknown>
}

export async function defineKinds(client: WorkloadClient, defined: readonly Kind[] = kinds): Promise<void> {
  for (const { pipeline, definition } of defined) {
    if (definition === null) continue
    const answer = await client.define(pipeline, `define-${pipeline}`, definition)
    if (answer.kind !== 'accepted') throw new Error(`pipeline ${pipeline}: ${JSON.stringify(answer)}`)
  }
}

const recentMax = 200
/** Services see things happen within a moment of each other, some of them at one time. */
const observedFromMs = Date.UTC(2026, 0, 1)
/** As long as it takes a service to come back, and longer. */
const attemptsMax = 2_000

/**
 * One caller among many: reports, opens, sends again what was answered or is under way elsewhere, alone and in bulk, and
 * reads in every way. Whatever is not answered is sent again under the same key, to the next node, until it is.
 */
export async function runClient(run: ClientRun): Promise<void> {
  const session = new Session(run)
  while (!run.signal.aborted) {
    await session.step()
    if (run.pauseMs > 0) await (run.pause ?? delay)(run.random.exponential(run.pauseMs))
  }
}

class Session {
  readonly #run: ClientRun
  /** The highest position an answer has shown. */
  #position = 0n
  /** How far it has read the log. */
  #feed = 0n
  readonly #revisions = new Map<string, bigint>()
  #commands = 0

  constructor(run: ClientRun) {
    this.#run = run
  }

  step(): Promise<void> {
    const { random, world, client } = this.#run
    if (random.chance(0.1)) client.goToNextNode()
    const dice = random.next()
    if (dice < 0.5) return this.#report()
    if (dice < 0.6) return this.#bulk()
    if (dice < 0.66 && world.recent.length > 0) return this.#again()
    if (dice < 0.68) return this.#list()
    if (dice < 0.71) return this.#readLog()
    return this.#read()
  }

  async #report(): Promise<void> {
    const { random } = this.#run
    const command = this.#command()
    const known = this.#revisions.get(command.operation)
    const careful = known !== undefined && random.chance(0.1)
    await this.#persist(careful ? { ...command, expectedRevision: known } : command)
    if (random.chance(0.3)) await this.#readOwn(command.operation)
  }

  /** Lines on few operations, so that they form chains. */
  async #bulk(): Promise<void> {
    const { random, client, giveUp } = this.#run
    const operations = [this.#operation(), this.#operation()] as const
    let open: readonly OutgoingCommand[] = Array.from({ length: random.integer(2, 12) }, () =>
      this.#command(random.pick(operations)),
    )
    for (let attempt = 1; open.length > 0 && !giveUp.aborted && attempt < attemptsMax; attempt += 1) {
      const answers = await client.sendBulk(open)
      for (const [index, answer] of answers.entries()) this.#learn(open[index]?.operation ?? '', answer)
      open = open.filter((_, index) => !isDefinite(answers[index]))
      if (open.length > 0) await this.#backOff()
    }
  }

  /** A command that was sent before, by this client or another; now and then its key with something else. */
  async #again(): Promise<void> {
    const { random, world } = this.#run
    const command = world.recent[random.integer(0, world.recent.length - 1)]
    if (command === undefined) return
    await this.#persist(
      random.chance(0.1) ? { ...command, body: { ...command.body, data: { another: true } } } : command,
    )
  }

  async #read(): Promise<void> {
    const { random, client } = this.#run
    const { id } = this.#operation()
    const dice = random.next()
    if (dice < 0.4) this.#see(id, await client.read(id, { kind: 'strong' }))
    else if (dice < 0.7) await this.#readOwn(id)
    else this.#see(id, await client.read(id))
  }

  /** Must show at least what this client has been shown before. */
  async #readOwn(operation: string): Promise<void> {
    const consistency = { kind: 'min', minPosition: String(this.#position) } as const
    this.#see(operation, await this.#run.client.read(operation, this.#position === 0n ? undefined : consistency))
  }

  async #list(): Promise<void> {
    const { random, client } = this.#run
    const { prefix } = this.#operation()
    if (this.#position === 0n || random.chance(0.3)) await client.list(prefix)
    else if (random.chance(0.5)) await client.list(prefix, { kind: 'strong' })
    else await client.list(prefix, { kind: 'min', minPosition: String(this.#position) })
  }

  async #readLog(): Promise<void> {
    const answer = await this.#run.client.feed(this.#feed, 500)
    if (answer.kind === 'events') this.#feed = BigInt(answer.next)
  }

  async #persist(command: OutgoingCommand): Promise<void> {
    for (let attempt = 1; !this.#run.giveUp.aborted && attempt < attemptsMax; attempt += 1) {
      const answer = await this.#run.client.send(command)
      this.#learn(command.operation, answer)
      if (isDefinite(answer)) return
      await this.#backOff()
    }
  }

  /** With jitter, as any client should, and to another node. */
  async #backOff(): Promise<void> {
    this.#run.client.goToNextNode()
    const { pause = delay, random } = this.#run
    await pause(10 + random.next() * 40)
  }

  #command(of = this.#operation()): OutgoingCommand {
    const { name, random, world } = this.#run
    this.#commands += 1
    world.reports += 1
    const key = `${name}-${this.#commands}`
    // All clients set and delete the same member, so that late data meets what is gone.
    const shared = random.chance(0.3) ? { shared: random.chance(0.4) ? null : this.#commands } : {}
    const data = {
      [name]: this.#commands,
      ...shared,
      ...(random.chance(0.02) ? { large: 'x'.repeat(world.largeLength) } : {}),
    }
    const { status, track } = random.pick(of.kind.steps as [(typeof of.kind.steps)[number]])
    const opens = random.chance(0.9) ? { pipeline: of.kind.pipeline } : {}
    const sequence = random.chance(0.2) ? { sequence: random.integer(1, 50) } : {}
    const observed = new Date(observedFromMs + random.integer(0, 50)).toISOString()
    const observedAt = random.chance(0.3) ? { observedAt: observed } : {}
    const body: CommandBody = random.chance(0.08)
      ? { type: 'OpenOperation', pipeline: of.kind.pipeline, theme: name, data }
      : {
          type: 'ReportStatus',
          service: name,
          status,
          ...(track === undefined ? {} : { track }),
          ...sequence,
          ...observedAt,
          ...(random.chance(0.6) ? { data } : {}),
          ...(random.chance(0.2) ? { metadata: { by: name, n: this.#commands } } : {}),
          ...opens,
        }
    const command = { operation: of.id, key, body }
    world.recent.push(command)
    if (world.recent.length > recentMax) world.recent.shift()
    return command
  }

  #operation() {
    const { random, world } = this.#run
    const kind = random.pick(world.kinds)
    const prefix = `${kind.pipeline}-${Math.floor(world.reports / world.reportsPerGeneration)}-`
    return { kind, prefix, id: `${prefix}${random.integer(1, world.operationsPerKind)}` }
  }

  #learn(operation: string, answer: WriteAnswer): void {
    if (answer.kind === 'accepted') this.#see(operation, answer)
  }

  #see(
    operation: string,
    answer: { readonly kind: string; readonly revision?: string; readonly position?: string },
  ): void {
    if (answer.revision !== undefined) this.#revisions.set(operation, BigInt(answer.revision))
    if (answer.position !== undefined && BigInt(answer.position) > this.#position)
      this.#position = BigInt(answer.position)
  }
}

function isDefinite(answer: WriteAnswer | undefined): boolean {
  return answer?.kind === 'accepted' || answer?.kind === 'refused' || answer?.kind === 'unexpected'
}
