import { setMaxListeners } from 'node:events'
import { backOffMs } from '../../runtime/backOff.ts'
import { pause } from '../../runtime/wakeUp.ts'
import type { EventLogLogger } from '../eventLog.ts'
import type { Append, AppendAnswer, AppendStream, StoreClient } from './client.ts'

export interface AppendsOptions {
  readonly client: StoreClient
  /** Compares the log behind a new connection with the one known. Rejects when it cannot be read, or is another. */
  readonly admit: () => Promise<void>
  /** Whether the log was found to be another one. */
  readonly isBroken: () => boolean
  readonly logger: EventLogLogger
  readonly inFlightMax: number
  /** How long an append is pursued, sending it again where its fate is unknown. */
  readonly deadlineMs: number
  /** A connection that has left everything unanswered for so long is given up. */
  readonly silenceMs: number
  /** How long an append waits for a connection that was lost a moment ago. */
  readonly patienceMs: number
}

/** What became of an append. Final, except `unknown`: the store knows no deadline of ours. */
export type AppendResult =
  | Extract<AppendAnswer, { kind: 'written' | 'conflict' | 'too_large' }>
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'unknown' }

interface Pending {
  readonly append: Append
  readonly bytes: number
  readonly deadline: number
  readonly settle: (result: AppendResult) => void
  /** It was sent, and what became of that is not known. */
  maybeWritten: boolean
  sentAt: number
}

const bytesInFlightMax = 16_000_000
const watchIntervalMs = 100

/**
 * Sends appends over one stream, many at a time, and sees each of them through: what was lost with a connection is sent
 * again over the next one. That is safe because every append has ids of its own (wire.ts) and names its revision: of two
 * copies one is written at most, and the other is answered alike.
 *
 * The caller has one append of a stream in flight at most.
 */
export class Appends {
  readonly #options: AppendsOptions
  readonly #closed = new AbortController()
  #queue: Pending[] = []
  readonly #inFlight = new Map<number, Pending>()
  #bytesInFlight = 0
  #nextCorrelation = 1
  #stream: AppendStream | null = null
  #connecting = false
  #downSince: number | null = null
  #heardAt = 0
  #watch: NodeJS.Timeout | null = null

  constructor(options: AppendsOptions) {
    this.#options = options
    setMaxListeners(0, this.#closed.signal)
  }

  /** Never rejects. */
  append(append: Append, bytes: number): Promise<AppendResult> {
    if (this.#closed.signal.aborted || this.#options.isBroken()) return Promise.resolve({ kind: 'unavailable' })
    return new Promise((settle) => {
      const deadline = performance.now() + this.#options.deadlineMs
      this.#queue.push({ append, bytes, deadline, settle, maybeWritten: false, sentAt: 0 })
      this.#watch ??= setInterval(() => this.#look(), watchIntervalMs)
      this.#pump()
    })
  }

  /** Takes no more, and sees through what it has. */
  async close(): Promise<void> {
    this.#closed.abort()
    while (this.#watch !== null) await pause(watchIntervalMs / 4, AbortSignal.timeout(watchIntervalMs))
    this.#stream?.cancel()
    this.#stream = null
  }

  #pump(): void {
    const stream = this.#stream
    if (stream === null) {
      this.#connect()
      return
    }
    const { inFlightMax } = this.#options
    let sent = 0
    for (const pending of this.#queue) {
      if (this.#inFlight.size >= inFlightMax || this.#bytesInFlight >= bytesInFlightMax) break
      sent += 1
      const correlation = this.#nextCorrelation
      this.#nextCorrelation += 1
      if (this.#inFlight.size === 0) this.#heardAt = performance.now()
      pending.sentAt = performance.now()
      this.#inFlight.set(correlation, pending)
      this.#bytesInFlight += pending.bytes
      stream.send(correlation, pending.append)
    }
    if (sent > 0) this.#queue = this.#queue.slice(sent)
  }

  #answered(correlation: number, answer: AppendAnswer): void {
    this.#heardAt = performance.now()
    const pending = this.#inFlight.get(correlation)
    // One that was given up meanwhile.
    if (pending === undefined) return
    this.#inFlight.delete(correlation)
    this.#bytesInFlight -= pending.bytes
    this.#judge(pending, answer)
    this.#pump()
  }

  #judge(pending: Pending, answer: AppendAnswer): void {
    const { append, maybeWritten, settle } = pending
    switch (answer.kind) {
      case 'written':
      case 'too_large':
        settle(answer)
        break
      case 'conflict': {
        const behind = (answer.actualRevision ?? -1n) < append.expected
        // An earlier copy could still find the revision that this one did not.
        settle(maybeWritten && behind ? { kind: 'unknown' } : answer)
        break
      }
      case 'refused':
        this.#options.logger.error({ reason: answer.reason }, 'EventStoreDB refuses an append')
        settle({ kind: maybeWritten ? 'unknown' : 'unavailable' })
        break
      case 'timed_out':
        pending.maybeWritten = true
        this.#queue.unshift(pending)
        break
      case 'unrecognized':
        // Sent again it would be answered alike, again and again: whoever asked for it finds out by a retry.
        this.#options.logger.error(
          { type: answer.type, reason: answer.reason },
          'EventStoreDB answers an append with an error that is not known',
        )
        settle({ kind: 'unknown' })
        break
      case 'not_handled':
        // The node says so of itself: another may be better, and none is to be asked in a loop.
        this.#options.logger.warn({ reason: answer.reason }, 'EventStoreDB does not take appends now')
        this.#queue.unshift(pending)
        this.#giveUpStream()
        break
      default:
        answer satisfies never
    }
  }

  #lost(stream: AppendStream | null, error: Error): void {
    if (stream === null || stream !== this.#stream) return
    this.#stream = null
    this.#downSince ??= performance.now()
    const lost = [...this.#inFlight.values()]
    for (const pending of lost) pending.maybeWritten = true
    this.#inFlight.clear()
    this.#bytesInFlight = 0
    this.#queue = [...lost, ...this.#queue]
    this.#options.logger.warn(
      { reason: error.message, unanswered: lost.length },
      'Lost the connection that appends to EventStoreDB',
    )
    this.#connect()
  }

  #giveUpStream(): void {
    const stream = this.#stream
    if (stream === null) return
    stream.cancel()
    this.#lost(stream, new Error('It was given up'))
  }

  #connect(): void {
    if (this.#connecting) return
    this.#connecting = true
    this.#downSince ??= performance.now()
    void this.#reconnect().finally(() => {
      this.#connecting = false
      if (this.#stream !== null) this.#pump()
    })
  }

  /** As long as there is something to send. */
  async #reconnect(): Promise<void> {
    const { admit, client, isBroken, logger } = this.#options
    for (let failures = 1; this.#queue.length > 0 && !isBroken(); failures += 1) {
      try {
        await admit()
        let opened: AppendStream | null = null
        let lost: Error | null = null
        opened = await client.openAppends({
          answered: (correlation, answer) => this.#answered(correlation, answer),
          lost: (error) => {
            lost = error
            this.#lost(opened, error)
          },
        })
        // As soon as it was there.
        if (lost !== null) throw lost
        this.#stream = opened
        this.#downSince = null
        return
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        if (failures === 1) logger.warn({ reason }, 'EventStoreDB cannot be reached')
        await pause(backOffMs(failures), AbortSignal.timeout(this.#options.patienceMs))
      }
    }
  }

  /** Ends what has waited long enough. */
  #look(): void {
    const { patienceMs, silenceMs, isBroken } = this.#options
    const now = performance.now()
    const broken = isBroken()
    const tired = this.#downSince !== null && now - this.#downSince > patienceMs
    const kept: Pending[] = []
    for (const pending of this.#queue) {
      // What may have been written is pursued to its deadline: so many know more by then.
      if (broken || now > pending.deadline || (tired && !pending.maybeWritten)) this.#giveUp(pending)
      else kept.push(pending)
    }
    this.#queue = kept
    for (const [correlation, pending] of this.#inFlight) {
      if (now <= pending.deadline) continue
      this.#inFlight.delete(correlation)
      this.#bytesInFlight -= pending.bytes
      pending.maybeWritten = true
      this.#giveUp(pending)
    }
    if (this.#inFlight.size > 0 && now - this.#heardAt > silenceMs) this.#giveUpStream()
    if (this.#queue.length === 0 && this.#inFlight.size === 0 && this.#watch !== null) {
      clearInterval(this.#watch)
      this.#watch = null
    }
    if (this.#queue.length > 0) this.#pump()
  }

  #giveUp(pending: Pending): void {
    pending.settle({ kind: pending.maybeWritten ? 'unknown' : 'unavailable' })
  }
}
