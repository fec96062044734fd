import { setTimeout as delay } from 'node:timers/promises'
import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { interventionStream } from '../../projections/parking/interventions.ts'
import {
  type ChangedOperation,
  matchesFilter,
  mayEverMatch,
  type OperationFilter,
} from '../../projections/queries/changedOperations.ts'
import type { ReadAt } from '../../projections/readModel.ts'
import { ReadModelUnavailableError } from '../../projections/readModel.ts'
import { WakeUp } from '../../runtime/wakeUp.ts'
import type { ApiContext } from '../context.ts'
import { rowText } from '../operationAnswer.ts'
import type { Missed } from './catchUp.ts'
import { concernedOperation } from './concernedOperation.ts'
import { type Channel, Feed, type LiveMessage } from './feed.ts'
import { type Holdings, mayHold } from './holdings.ts'
import { OperationWaits } from './operationWaits.ts'
import { sseMessage } from './sseText.ts'

type FeedContext = Pick<ApiContext, 'log' | 'readModel' | 'tokens'>

/** An operation's event that the read model may not show yet. */
interface Change {
  readonly operation: string
  readonly position: bigint
  readonly opened: boolean
}

/** Operations read from the read model at once. */
const operationsMax = 100
/** Changes kept while the read model is behind; with more, streams are ended and catch up when they come back. */
const changesMax = 100_000
/** Operations remembered as not matching, over all filters. */
const unmatchedMax = 200_000
const visibleMsMax = 1_000
const retryMs = 200

/**
 * Changes of the read model, told after its checkpoint (correctness.md row 17): the log says which operations changed,
 * the read model how they stand.
 *
 * An operation is told with the position of the event that its row was last changed by, in order of these positions.
 * So a reader that has seen position p has seen the newest form of everything that was last changed up to p: it resumes
 * there without a gap, and no form is told twice.
 */
export class OperationFeed {
  readonly feed = new Feed<OperationFilter>(0n)
  readonly waits = new OperationWaits()
  readonly #context: FeedContext
  readonly #changed = new WakeUp()
  readonly #onOverrun: () => void
  /** In order of position, from after the feed's position on. */
  #changes: Change[] = []
  /** The log is known up to here. */
  #known = 0n
  /** By channel: operations that none of its streams holds, most recent last. */
  readonly #unmatched = new WeakMap<Channel<OperationFilter>, Set<string>>()

  constructor(context: FeedContext, onOverrun: () => void) {
    this.#context = context
    this.#onOverrun = onOverrun
  }

  /** Changes up to here are told, or about to be; whoever begins to wait now must look at the read model up to here. */
  get known(): bigint {
    return this.#known
  }

  /** Only while there are no streams. */
  startAt(position: bigint): void {
    this.#changes = []
    this.#known = position
    this.feed.moveTo(position)
  }

  take(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      const operation = concernedOperation(event)
      if (operation === null) continue
      const opened = event.revision === 0n && event.stream !== interventionStream
      this.#changes.push({ operation, position: event.position, opened })
    }
    this.#known = events.at(-1)?.position ?? this.#known
    if (this.#changes.length > changesMax) {
      this.#onOverrun()
      this.startAt(this.#known)
    }
    this.#changed.wake()
  }

  /** Tells what changed, for ever. Settles once `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { count } = this.#changed
      if (this.#known === this.feed.position) await this.#changed.wait(signal, undefined, count)
      else if (this.feed.size === 0 && this.waits.size === 0) this.startAt(this.#known)
      else {
        try {
          await this.#round(signal)
        } catch (error) {
          if (!(error instanceof ReadModelUnavailableError)) throw error
          await this.#pause(signal)
        }
      }
    }
  }

  /** What a stream that stands at `after` has missed. Moves `holdings` on. */
  async missed(filter: OperationFilter, after: bigint, count: number, holdings: Holdings): Promise<Missed> {
    const { log, readModel } = this.#context
    const events = await log.readAll({ after, maxCount: count })
    const to = events.at(-1)?.position
    if (to === undefined) return { messages: [], to: after, read: 0 }
    const ids = new Set<string>()
    for (const event of events) {
      const operation = concernedOperation(event)
      if (operation !== null) ids.add(operation)
    }
    const nothingYet = { messages: [], to: after, read: 0 }
    if (readModel.position() < to && !(await readModel.waitFor(to, visibleMsMax))) return nothingYet
    const rows: ChangedOperation[] = []
    let read = 0
    let shownAt = readModel.position()
    const left = [...ids]
    while (left.length > 0) {
      const { value, position } = await readModel.operationsById(left.splice(0, operationsMax))
      if (position < to) return nothingYet
      if (position < shownAt) shownAt = position
      // Those changed again since come up again further on.
      for (const changed of value) if (changed.changedAt > after && changed.changedAt <= to) rows.push(changed)
    }
    const messages: LiveMessage[] = []
    for (const changed of rows.sort(byPosition)) {
      read += changed.row.body.length
      if (matchesFilter(filter, changed.traits)) messages.push(this.#operation(changed))
      else if (mayHold(holdings, changed) && mayEverMatch(filter, changed.traits)) messages.push(this.#left(changed))
    }
    if (holdings.since === null || shownAt < holdings.since) holdings.since = shownAt
    return { messages, to, read }
  }

  /** Tells the next changes, once the read model shows them. */
  async #round(signal: AbortSignal): Promise<void> {
    const from = this.feed.position
    const everything = this.feed.size > 0
    const { ids, to } = this.#next(everything)
    if (ids.size > 0) {
      if (!(await this.#visible(to, signal))) return
      const read = await this.#read([...ids])
      if (read.position < to) return this.#pause(signal)
      const { rows, upTo } = await this.#catchCheckpoint(read, ids, to, everything, signal)
      // The streams were ended meanwhile, or the first one joined, which must be told more than was read.
      if (this.feed.position !== from || (this.feed.size > 0 && !everything)) return
      for (const changed of rows) this.waits.tell(changed, () => this.#seen(changed))
      this.#publish(from, upTo, rows)
    } else if (this.feed.position === from && this.feed.size > 0 === everything) {
      this.#publish(from, to, [])
    }
  }

  /** The next operations that changed, and the position up to which these are all. */
  #next(everything: boolean): { readonly ids: ReadonlySet<string>; readonly to: bigint } {
    const ids = new Set<string>()
    let to: bigint | null = null
    for (const { operation, position } of this.#changes) {
      if (everything || this.waits.has(operation)) {
        if (ids.size === operationsMax && !ids.has(operation)) return { ids, to: to ?? this.feed.position }
        ids.add(operation)
      }
      to = position
    }
    return { ids, to: this.#known }
  }

  /**
   * The rows were read at a checkpoint that may lie beyond `to`, and show what only later events say. Told now, under
   * their own positions, they would overtake others; left for later, an operation that changes all the time would never
   * be told. So the round is extended to the checkpoint: what else changed up to it is read as well.
   */
  async #catchCheckpoint(
    { value, position: checkpoint }: ReadAt<readonly ChangedOperation[]>,
    ids: ReadonlySet<string>,
    to: bigint,
    everything: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly rows: readonly ChangedOperation[]; readonly upTo: bigint }> {
    if (!value.some(({ changedAt }) => changedAt > to)) return { rows: value, upTo: to }
    const deadline = performance.now() + visibleMsMax
    for (let { count } = this.#changed; this.#known < checkpoint; { count } = this.#changed) {
      const leftMs = deadline - performance.now()
      if (signal.aborted || leftMs <= 0) return { rows: value, upTo: to }
      await this.#changed.wait(signal, leftMs, count)
    }
    const others = new Set<string>()
    for (const { operation, position } of this.#changes) {
      if (position > checkpoint) break
      if (position > to && !ids.has(operation) && (everything || this.waits.has(operation))) others.add(operation)
    }
    // Far behind: those that changed again are told further on.
    if (others.size > operationsMax) return { rows: value, upTo: to }
    if (others.size === 0) return { rows: value, upTo: checkpoint }
    const more = await this.#read([...others])
    return { rows: [...value, ...more.value], upTo: more.position < checkpoint ? to : checkpoint }
  }

  #publish(from: bigint, to: bigint, rows: readonly ChangedOperation[]): void {
    const opened = new Set<string>()
    let done = 0
    for (const change of this.#changes) {
      if (change.position > to) break
      if (change.opened) opened.add(change.operation)
      done += 1
    }
    this.#changes.splice(0, done)
    const due = rows.filter(({ changedAt }) => changedAt > from && changedAt <= to).sort(byPosition)
    const texts = new Map<ChangedOperation, LiveMessage>()
    this.feed.publish(to, (channel) => {
      const messages: LiveMessage[] = []
      const unmatched = this.#unmatched.get(channel) ?? new Set()
      this.#unmatched.set(channel, unmatched)
      for (const changed of due) {
        const { row, traits } = changed
        if (matchesFilter(channel.filter, traits)) {
          unmatched.delete(row.id)
          let message = texts.get(changed)
          if (message === undefined) {
            message = this.#operation(changed)
            texts.set(changed, message)
          }
          messages.push(message)
        } else if (mayEverMatch(channel.filter, traits)) {
          const notHeld = unmatched.delete(row.id) || opened.has(row.id)
          unmatched.add(row.id)
          messages.push(notHeld ? { ...this.#left(changed), onlyAhead: true } : this.#left(changed))
        }
      }
      this.#forget(unmatched)
      return messages
    })
  }

  /** Who is forgotten is told once more that an operation has left. */
  #forget(unmatched: Set<string>): void {
    const sizeMax = Math.max(100, Math.floor(unmatchedMax / Math.max(1, this.feed.channels.size)))
    for (const id of unmatched) {
      if (unmatched.size <= sizeMax) return
      unmatched.delete(id)
    }
  }

  #operation({ row, changedAt }: ChangedOperation): LiveMessage {
    const text = sseMessage(this.#context.tokens.encode(changedAt), 'operation', rowText(this.#context, row))
    return { position: changedAt, text }
  }

  #left({ row, changedAt }: ChangedOperation): LiveMessage {
    const position = this.#context.tokens.encode(changedAt)
    const data = `{"id":${JSON.stringify(row.id)},"revision":${row.revision},"position":"${position}"}`
    return { position: changedAt, text: sseMessage(position, 'left', data) }
  }

  #seen({ row, changedAt, traits }: ChangedOperation) {
    return {
      text: rowText(this.#context, row),
      revision: row.revision,
      changedRevision: row.changedRevision,
      position: changedAt,
      active: traits.state === 'active',
    }
  }

  #read(ids: readonly string[]): Promise<ReadAt<readonly ChangedOperation[]>> {
    return this.#context.readModel.operationsById(ids)
  }

  async #visible(position: bigint, signal: AbortSignal): Promise<boolean> {
    const { readModel } = this.#context
    if (readModel.position() >= position) return true
    return (await readModel.waitFor(position, visibleMsMax)) && !signal.aborted
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await delay(retryMs, undefined, { signal }).catch(() => undefined)
  }
}

function byPosition(one: ChangedOperation, other: ChangedOperation): number {
  return one.changedAt < other.changedAt ? -1 : one.changedAt > other.changedAt ? 1 : 0
}
