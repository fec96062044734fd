import { setTimeout as delay } from 'node:timers/promises'
import { LogUnavailableError } from '../../eventlog/eventLog.ts'
import type { OperationFilter } from '../../projections/queries/changedOperations.ts'
import { createSemaphore, type Semaphore } from '../../runtime/semaphore.ts'
import type { ApiContext } from '../context.ts'
import { expectedProblem, ProblemError } from '../problem.ts'
import { shareProblem } from '../shares.ts'
import { catchUp, type Missed } from './catchUp.ts'
import { EventFeed, type EventFilter } from './eventFeed.ts'
import type { Feed } from './feed.ts'
import type { Holdings } from './holdings.ts'
import { LiveStream } from './liveStream.ts'
import { LogFollower } from './logFollower.ts'
import { OperationFeed } from './operationFeed.ts'
import type { OperationWait } from './operationWaits.ts'
import { spreadRetryMs, sseBeginning, sseFarewell } from './sseText.ts'
import type { StreamAnswer, StreamStart } from './streamAnswer.ts'
import { TurnedAway } from './turnedAway.ts'

interface Source<Filter> {
  readonly feed: Feed<Filter>
  readonly filter: Filter
  readonly reads: Semaphore
  readonly missed: (stream: LiveStream, count: number) => Promise<Missed>
}

export interface LiveLogger {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface LiveMetrics {
  readonly eventStreams: () => number
  readonly operationStreams: () => number
  readonly waits: () => number
  /** Since the start: streams cut off because their reader was too slow. */
  readonly dropped: () => number
  /** Since the start: streams that were told to come back later. */
  readonly turnedAway: () => number
}

const tickMs = 1_000
/** With nobody there for so long, the log is no longer followed. */
const lingerTicks = 30
/** Pieces of the log read at once for streams that catch up. */
const catchUpsMax = 4
/** Operations looked at at once for who begins to wait: thousands that come together must not fill the read model's pool. */
const looksMax = 6
/** At 2,000 streams, ten rounds a second. */
const windowMsMax = 100
const streamsPerMs = 20

/** Streams and waits, fed by one subscription of the log. */
export class Live {
  readonly metrics: LiveMetrics
  readonly #context: ApiContext
  readonly #logger: LiveLogger | undefined
  readonly #events: EventFeed
  readonly #operations: OperationFeed
  readonly #follower: LogFollower
  readonly #streams = new Map<
    LiveStream,
    { readonly slot: number; readonly leave: () => void; readonly isAllowed: () => boolean }
  >()
  readonly #reads = {
    events: createSemaphore(catchUpsMax),
    operations: createSemaphore(catchUpsMax),
    looks: createSemaphore(looksMax),
  }
  readonly #turnedAway = new TurnedAway()
  readonly #clock: NodeJS.Timeout
  #operationsRun = { abort: new AbortController(), finished: Promise.resolve() }
  /** Streams, those that are about to begin among them, and waits. */
  #users = 0
  #begun = 0
  #ticks = 0
  #ticksUnused = 0
  #dropped = 0
  #closed = false

  constructor(context: ApiContext, logger?: LiveLogger) {
    this.#context = context
    this.#logger = logger
    this.#events = new EventFeed(context)
    this.#operations = new OperationFeed(context, () => this.#endAll(this.#operations.feed))
    this.#follower = new LogFollower({
      log: context.log,
      onStart: (position) => this.#startAt(position),
      onEvents: async (events) => {
        this.#operations.take(events)
        for (;;) {
          try {
            return await this.#events.take(events.filter(({ position }) => position > this.#events.feed.position))
          } catch (error) {
            if (!(error instanceof LogUnavailableError)) throw error
            await delay(tickMs)
          }
        }
      },
      onFailed: (error) => {
        if (!this.#closed) this.#logger?.error({ err: error }, 'the log is no longer followed for live streams')
        this.#operationsRun.abort.abort()
        this.#endAll()
      },
      windowMs: () => Math.min(windowMsMax, Math.floor(this.#streams.size / streamsPerMs)),
    })
    this.metrics = {
      eventStreams: () => this.#events.feed.size,
      operationStreams: () => this.#operations.feed.size,
      waits: () => this.#operations.waits.size,
      dropped: () => this.#dropped,
      turnedAway: () => this.#turnedAway.count,
    }
    this.#clock = setInterval(() => this.#tick(), tickMs)
    this.#clock.unref()
    context.draining.addEventListener('abort', () => this.#endAll(), { once: true })
  }

  /** Settles once the stream has begun; throws ProblemError before. */
  async streamEvents(answer: StreamAnswer, start: StreamStart, filter: EventFilter): Promise<void> {
    const from = { revision: 0n }
    const missed = (stream: LiveStream, count: number) => this.#events.missed(filter, stream.cursor, count, from)
    await this.#begin(answer, start, { feed: this.#events.feed, filter, reads: this.#reads.events, missed })
  }

  /** Settles once the stream has begun; throws ProblemError before. */
  async streamOperations(answer: StreamAnswer, start: StreamStart, filter: OperationFilter): Promise<void> {
    // Who begins at the beginning holds nothing that could leave; who comes back may hold anything.
    const holdings: Holdings = { since: start === 0n ? null : 0n }
    const missed = (stream: LiveStream, count: number) =>
      this.#operations.missed(filter, stream.cursor, count, holdings)
    await this.#begin(answer, start, { feed: this.#operations.feed, filter, reads: this.#reads.operations, missed })
  }

  /** Where a stream that asks for the head begins; null while the log cannot be asked. */
  async headOrNull(): Promise<bigint | null> {
    if (this.#follower.isFollowing) return this.#events.feed.position
    try {
      return await this.#context.log.head()
    } catch (error) {
      if (expectedProblem(error) === null) throw error
      return null
    }
  }

  /** Tells a stream that cannot be served now its place, where that is known, and when to come back; then it ends. */
  turnAway(answer: StreamAnswer, place: bigint | null): void {
    const retryMs = this.#retryMs()
    answer.begin(place)
    const begin = sseBeginning(place === null ? null : this.#context.tokens.encode(place), retryMs)
    const heldMs = this.#closed || this.#context.draining.aborted ? 0 : retryMs
    this.#turnedAway.end(answer.response, `${begin}${sseFarewell(null, retryMs)}`, heldMs)
  }

  /**
   * Waits for changes of one operation. `work` gets the wait, which has begun, and the position up to which it must look
   * at the operation itself: what changes after it is told. Ends within a second once `isAllowed` says no, and at once,
   * as refused, when it is reclaimed for another owner. Throws ProblemError when there are too many.
   */
  async wait<T>(
    operation: string,
    { owner, isAllowed }: { readonly owner: string; readonly isAllowed: () => boolean },
    work: (wait: OperationWait, lookTo: bigint) => Promise<T>,
  ): Promise<T> {
    const { waits } = this.#context.shares
    const lease = waits.take(owner, 1, () => wait.end(shareProblem('waits', waits, owner)))
    if (lease === null) throw shareProblem('waits', waits, owner)
    this.#users += 1
    const wait: OperationWait = this.#operations.waits.add(operation, isAllowed)
    try {
      await this.#follower.start()
      if (this.#closed || this.#context.draining.aborted) wait.end()
      return await work(wait, this.#operations.known)
    } finally {
      wait.end()
      lease.release()
      this.#users -= 1
    }
  }

  /** Does the look at an operation that a wait begins with: a few at once. */
  look<T>(owner: string, work: () => Promise<T>): Promise<T> {
    return this.#reads.looks.run(work, owner)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#endAll()
    clearInterval(this.#clock)
    await this.#follower.stop()
    this.#operationsRun.abort.abort()
    await this.#operationsRun.finished
  }

  async #begin<Filter>(
    answer: StreamAnswer,
    start: StreamStart,
    { feed, filter, reads, missed }: Source<Filter>,
  ): Promise<void> {
    const { limits, shares, tokens } = this.#context
    const { owner } = answer
    let isReclaimed = false
    let onReclaim = () => {
      isReclaimed = true
    }
    const lease = shares.streams.take(owner, 1, () => onReclaim())
    if (lease === null) throw shareProblem('streams', shares.streams, owner)
    this.#users += 1
    let stream: LiveStream
    try {
      await this.#follower.start()
      if (isReclaimed) throw shareProblem('streams', shares.streams, owner)
      if (this.#closed || this.#context.draining.aborted) throw overloaded('The service shuts down.')
      const cursor = start === 'head' ? feed.position : start
      answer.begin(cursor)
      stream = new LiveStream(answer.response, {
        cursor,
        queuedBytesMax: limits.streamQueuedBytesMax,
        onDropped: () => {
          this.#dropped += 1
        },
      })
    } catch (error) {
      lease.release()
      this.#users -= 1
      throw error
    }
    const leave = () => {
      if (!this.#streams.delete(stream)) return
      feed.leave(stream, filter)
      lease.release()
      this.#users -= 1
    }
    onReclaim = () => {
      // What its reader leaves unread must not stay here uncounted: the reader resumes from what it has.
      if (stream.isUnread) stream.drop()
      else this.#sayFarewell(stream)
      leave()
    }
    this.#begun += 1
    this.#streams.set(stream, {
      slot: this.#begun % limits.streamHeartbeatS,
      leave,
      isAllowed: () => answer.isAllowed(),
    })
    answer.response.once('close', leave)
    stream.write(sseBeginning(tokens.encode(stream.cursor), this.#retryMs()))
    catchUp({ stream, filter, feed, reads, owner, tokens, missed: (count) => missed(stream, count) }).catch(
      (error: unknown) => {
        this.#logger?.error({ err: error }, 'a live stream failed')
        this.#sayFarewell(stream)
        leave()
      },
    )
  }

  #retryMs(): number {
    return spreadRetryMs(this.#context.limits.streamRetryMs, Math.random())
  }

  #sayFarewell(stream: LiveStream): void {
    stream.end(sseFarewell(this.#context.tokens.encode(stream.cursor), this.#retryMs()))
  }

  #startAt(position: bigint): void {
    this.#events.feed.moveTo(position)
    this.#operations.startAt(position)
    const abort = new AbortController()
    const before = this.#operationsRun
    before.abort.abort()
    const finished = before.finished
      .then(() => this.#operations.run(abort.signal))
      .catch((error: unknown) => {
        this.#logger?.error({ err: error }, 'changes of operations are no longer told')
        void this.#follower.stop()
        this.#endAll()
      })
    this.#operationsRun = { abort, finished }
  }

  #tick(): void {
    this.#ticks += 1
    const slot = this.#ticks % this.#context.limits.streamHeartbeatS
    for (const [stream, { slot: own, leave, isAllowed }] of this.#streams) {
      if (!isAllowed()) {
        this.#sayFarewell(stream)
        leave()
      } else if (own === slot) {
        stream.beat(this.#context.tokens.encode(stream.cursor))
      }
    }
    this.#operations.waits.endUnlessAllowed()
    this.#ticksUnused = this.#users > 0 ? 0 : this.#ticksUnused + 1
    if (this.#ticksUnused === lingerTicks) {
      this.#operationsRun.abort.abort()
      void this.#follower.stop()
    }
  }

  /** Ends all streams (of one feed) and all waits, at once. */
  #endAll(only?: Feed<OperationFilter>): void {
    this.#turnedAway.endAll()
    this.#operations.waits.endAll()
    for (const [stream, { leave }] of this.#streams) {
      if (only !== undefined && !isIn(only, stream)) continue
      this.#sayFarewell(stream)
      leave()
    }
  }
}

function isIn(feed: Feed<OperationFilter>, stream: LiveStream): boolean {
  for (const { streams } of feed.channels.values()) if (streams.has(stream)) return true
  return false
}

function overloaded(detail: string): ProblemError {
  return new ProblemError({ code: 'overloaded', detail, retryAfterS: 2 })
}
