import type { Random } from '../../src/demo/random.ts'
import { groupByStream } from '../../src/eventlog/chains.ts'
import {
  type AppendOutcome,
  type AppendRequest,
  type EventLog,
  LogUnavailableError,
  type RecordedEvent,
  type SubscribeOptions,
} from '../../src/eventlog/eventLog.ts'
import { WakeUp } from '../../src/runtime/wakeUp.ts'
import type { LogFaults } from './plan.ts'
import { Actor, Pending, type Scheduler } from './scheduler.ts'

/** The log's server: one memory log, whose calls all nodes' adapters carry over a network. */
export interface LogServer {
  readonly actor: Actor
  /** As the nodes have it. */
  readonly log: EventLog
  /** As it is, whatever bug is planted. */
  readonly truth: EventLog
  readonly logId: string
  readonly latencyMs: number
  faults: LogFaults
  /** Answers nobody until then. */
  downUntilMs: number
  /** Of the last event: positions are given out one by one. */
  head: bigint
  /** Calls that have not reached it yet. */
  readonly underWay: Pending
  /** Told of each append. */
  readonly listeners: Set<() => void>
}

export function createLogServer(
  truth: EventLog,
  log: EventLog,
  { logId, latencyMs, faults }: Pick<LogServer, 'logId' | 'latencyMs' | 'faults'>,
): LogServer {
  return {
    actor: new Actor('log'),
    truth,
    log,
    logId,
    latencyMs,
    faults,
    downUntilMs: 0,
    head: 0n,
    underWay: new Pending(),
    listeners: new Set(),
  }
}

/** Without a wake: so long until a subscription looks again. */
const pollMs = 500
/** The longest a lost batch may take to land where the store sets no bound. */
const lateMsMax = 3_000

/**
 * A node's adapter: the memory log's semantics with delays, calls that overtake one another, outages, and every outcome the
 * port allows.
 */
export class SimulatedLog implements EventLog {
  readonly logId: string
  readonly #server: LogServer
  readonly #node: Actor
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #appended = new WakeUp()
  /** The node cannot reach the server until then. */
  cutUntilMs = 0

  constructor(server: LogServer, node: Actor, scheduler: Scheduler, random: Random) {
    this.logId = server.logId
    this.#server = server
    this.#node = node
    this.#scheduler = scheduler
    this.#random = random
    server.listeners.add(() => this.#told())
  }

  append(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const { unavailable, unknownLost, unknownLanded, mixed, unknownLate } = this.#server.faults
    const dice = this.#dice()
    if (this.#isCut) {
      // A connection that could not be made carried nothing; one that broke may have carried all or nothing.
      if (this.#random.chance(0.7)) return this.#answer(all(batch, 'unavailable'))
      return this.#answer(all(batch, 'unknown'), 50)
    }
    if (dice(unavailable)) return this.#answer(all(batch, 'unavailable'))
    if (dice(unknownLost)) return this.#answer(all(batch, 'unknown'), 50)
    if (dice(unknownLate)) {
      const landsAfterMs = this.#random.next() * lateMsMax
      const late = this.#scheduler.after(landsAfterMs, () => void this.#land(batch), this.#server.actor)
      this.#server.underWay.add(late)
      return this.#answer(all(batch, 'unknown'), 20)
    }
    if (dice(mixed)) return this.#appendMixed(batch)
    const lost = dice(unknownLanded)
    return this.#call(async () => {
      const outcomes = await this.#land(batch)
      return lost ? all(batch, 'unknown') : outcomes
    })
  }

  readStream: EventLog['readStream'] = (stream, options) => this.#read((log) => log.readStream(stream, options))
  readEvent: EventLog['readEvent'] = (stream, id) => this.#read((log) => log.readEvent(stream, id))
  readAll: EventLog['readAll'] = (options) => this.#read((log) => log.readAll(options))
  head: EventLog['head'] = () => this.#read((log) => log.head())

  async *subscribe({ after, maxCount, signal }: SubscribeOptions): AsyncGenerator<readonly RecordedEvent[]> {
    let position = after
    while (!signal.aborted) {
      const { count } = this.#appended
      if (this.#random.chance(this.#server.faults.breaks)) throw new LogUnavailableError('the subscription broke')
      if (this.#random.chance(this.#server.faults.drops)) await new WakeUp().wait(signal, 5 + this.#random.next() * 100)
      const events = await this.#readOn(position, Math.min(maxCount, this.#random.pick([1, 2, 5, 100, maxCount])))
      if (signal.aborted) return
      const last = events?.at(-1)
      if (events === null || last === undefined) {
        await this.#appended.wait(signal, events === null ? 20 : pollMs, events === null ? undefined : count)
        continue
      }
      position = last.position
      yield events
    }
  }

  async close(): Promise<void> {}

  /** Null when the log does not answer. */
  async #readOn(after: bigint, maxCount: number): Promise<readonly RecordedEvent[] | null> {
    try {
      return await this.readAll({ after, maxCount })
    } catch {
      return null
    }
  }

  /** Each chain is appended as far as it goes, then comes to what befell it. */
  #appendMixed(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    return this.#call(async () => {
      const outcomes = all(batch, 'untried')
      for (const indexes of groupByStream(batch).values()) {
        const kept = this.#random.integer(0, indexes.length)
        const fate = this.#random.pick(['appended', 'unavailable', 'unknown', 'unknown, landed'])
        const tried = indexes.slice(
          0,
          fate === 'appended' ? indexes.length : fate === 'unknown, landed' ? kept + 1 : kept,
        )
        const requests = tried.flatMap((index) => batch[index] ?? [])
        const said = await this.#land(requests)
        for (const [place, index] of tried.entries()) outcomes[index] = said[place] ?? { kind: 'untried' }
        const befallen = indexes[kept]
        const reached = said.slice(0, kept).every(({ kind }) => kind === 'appended')
        if (fate === 'appended' || befallen === undefined || !reached) continue
        outcomes[befallen] = { kind: fate === 'unavailable' ? 'unavailable' : 'unknown' }
      }
      return outcomes
    })
  }

  async #land(batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const outcomes = await this.#server.log.append(batch)
    this.#server.head = await this.#server.truth.head()
    for (const tell of this.#server.listeners) tell()
    // Of a check, an adapter need not know the position.
    return outcomes.map((outcome, index) =>
      outcome.kind === 'appended' && batch[index]?.events.length === 0 ? { ...outcome, position: 0n } : outcome,
    )
  }

  #told(): void {
    if (!this.#node.isAlive || this.#random.chance(this.#server.faults.drops)) return
    this.#scheduler.after(this.#delayMs(), () => this.#appended.wake(), this.#node)
  }

  async #read<T>(from: (log: EventLog) => Promise<T>): Promise<T> {
    if (this.#isCut || this.#random.chance(this.#server.faults.readFails)) {
      await this.#answer(null)
      throw new LogUnavailableError('the log does not answer')
    }
    return this.#call(() => from(this.#server.log))
  }

  /** To the server and back. */
  #call<T>(work: () => Promise<T>): Promise<T> {
    const { actor } = this.#server
    return new Promise((resolve, reject) => {
      const back = (settle: () => void): void => void this.#scheduler.after(this.#delayMs(), settle, this.#node)
      const call = this.#scheduler.after(
        this.#delayMs(),
        () =>
          work().then(
            (value) => back(() => resolve(value)),
            (error) => back(() => reject(error)),
          ),
        actor,
      )
      this.#server.underWay.add(call)
    })
  }

  #answer<T>(value: T, meanMs = 0): Promise<T> {
    const ms = this.#delayMs() + this.#random.next() * 2 * meanMs
    return new Promise((resolve) => this.#scheduler.after(ms, () => resolve(value), this.#node))
  }

  #delayMs(): number {
    const slow = this.#random.chance(this.#server.faults.slow) ? this.#random.next() * 300 : 0
    return this.#random.exponential(this.#server.latencyMs) + slow
  }

  /** Of several things that may happen, one does at most. */
  #dice(): (rate: number) => boolean {
    let left = this.#random.next()
    return (rate) => {
      const happens = left >= 0 && left < rate
      left -= rate
      return happens
    }
  }

  get #isCut(): boolean {
    const { nowMs } = this.#scheduler
    return nowMs < this.#server.downUntilMs || nowMs < this.cutUntilMs
  }
}

function all(batch: readonly AppendRequest[], kind: 'unavailable' | 'unknown' | 'untried'): AppendOutcome[] {
  return batch.map(() => ({ kind }))
}
