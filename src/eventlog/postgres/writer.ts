import { setMaxListeners } from 'node:events'
import { backOffMs } from '../../runtime/backOff.ts'
import { WakeUp } from '../../runtime/wakeUp.ts'
import type { Chain } from '../chains.ts'
import type { EventLogLogger } from '../eventLog.ts'
import type { ChainAnswer } from './appendCall.ts'
import type { Reader } from './reader.ts'
import { anotherLogState, blamesTheCall, isUnavailability, logNotOpenState } from './sqlState.ts'
import type { TailCache } from './tailCache.ts'
import { type FoundEvents, findLanded } from './unknownOutcome.ts'
import { WriterSession, type WriterSessionOptions } from './writerSession.ts'

export interface WriterOptions extends Omit<WriterSessionOptions, 'onLost'> {
  readonly reader: Reader
  readonly logger: EventLogLogger
  /** Told of every confirmed append. */
  readonly tailCache: TailCache
  /** How long an append waits for a connection that was lost a moment ago. */
  readonly patienceMs: number
  /** Told the log's last position after each call that appended something. */
  readonly onAppended: (position: bigint) => void
}

/** What became of one call of append_chains(). */
export type CallResult =
  | { readonly kind: 'done'; readonly answers: readonly ChainAnswer[] }
  /** Something in the call is at fault (SQLSTATE class 22, 23 or 54); nothing of it was appended. */
  | { readonly kind: 'refused'; readonly code: string; readonly constraint: string | null }
  /** Nothing of it was appended, and never will be. */
  | { readonly kind: 'unavailable' }
  /** The answer was lost, but nothing can land any more, and these of its events are in the log. */
  | { readonly kind: 'settled'; readonly found: FoundEvents }
  | { readonly kind: 'unknown' }

/** Keeps one session for appends, and makes a new one when it is lost. */
export class Writer {
  readonly #options: WriterOptions
  readonly #closed = new AbortController()
  readonly #changed = new WakeUp()
  #session: WriterSession | null = null
  #downSinceMs: number | null = null
  #connecting: Promise<void> | null = null
  readonly #settling = new Set<Promise<CallResult>>()

  constructor(options: WriterOptions) {
    this.#options = options
    // Every append that waits for a connection listens.
    setMaxListeners(0, this.#closed.signal)
  }

  /** Makes the first session; throws when that cannot be had. */
  async open(): Promise<void> {
    this.#session = await this.#newSession()
  }

  /** Sends one call. The caller sees to it that no other call with one of these streams is under way. */
  async call(chains: readonly Chain[]): Promise<CallResult> {
    const session = this.#usable() ?? (await this.#waitForSession())
    if (session === null) return { kind: 'unavailable' }
    const answer = await session.append(chains)
    switch (answer.kind) {
      case 'answers':
        this.#saw(answer.headBefore, chains, answer.answers)
        return { kind: 'done', answers: answer.answers }
      case 'error':
        return this.#explain(answer.error.code, answer.error.constraint)
      case 'lost': {
        const settling = this.#settleLost(session, chains)
        this.#settling.add(settling)
        return settling.finally(() => this.#settling.delete(settling))
      }
    }
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#connecting
    await this.#session?.close()
    await Promise.allSettled(this.#settling)
  }

  #saw(headBefore: bigint, chains: readonly Chain[], answers: readonly ChainAnswer[]): void {
    let count = 0
    for (const [index, answer] of answers.entries()) {
      if (answer.kind === 'appended') count += chains[index]?.eventCount ?? 0
    }
    const head = headBefore + BigInt(count)
    this.#options.tailCache.appended(headBefore, chains, answers)
    this.#options.guard.saw(head)
    const last = chains
      .findLast((_, index) => answers[index]?.kind === 'appended')
      ?.links.at(-1)
      ?.request.events.at(-1)
    if (last !== undefined) this.#options.guard.sawEvent({ ...last, position: head })
    if (count > 0) this.#options.onAppended(head)
  }

  #explain(code: string, constraint: string | null): CallResult {
    if (blamesTheCall(code)) return { kind: 'refused', code, constraint }
    if (code === anotherLogState) {
      this.#options.guard.breakWith('The database holds another log than the one opened')
    } else if (code === logNotOpenState) {
      this.#options.logger.error(
        { code },
        'The event log was closed: it has been copied, or is being copied, to another store',
      )
    } else if (isUnavailability(code)) {
      this.#options.logger.warn({ code }, 'The event log refused a batch for now')
    } else {
      this.#options.logger.error({ code }, 'The event log refused a batch for a reason unforeseen')
    }
    return { kind: 'unavailable' }
  }

  async #settleLost(session: WriterSession, chains: readonly Chain[]): Promise<CallResult> {
    const { statementTimeoutMs, reader, logger } = this.#options
    // Two calls at most are in flight; each may run into its statement timeout, one after the other.
    const boundMs = 2 * statementTimeoutMs + 1_000
    const found = await findLanded(reader, session.lockKey, chains, boundMs)
    if (found === null) {
      logger.error({ streams: chains.length }, 'The outcome of an append stays unknown')
      return { kind: 'unknown' }
    }
    for (const { position } of found.values()) {
      this.#options.guard.saw(position)
      this.#options.onAppended(position)
    }
    return { kind: 'settled', found }
  }

  #usable(): WriterSession | null {
    return this.#session?.isUsable === true && !this.#closed.signal.aborted && !this.#options.guard.isBroken
      ? this.#session
      : null
  }

  /** Bounded: a log that has been down for longer than our patience is answered for at once. */
  async #waitForSession(): Promise<WriterSession | null> {
    for (;;) {
      const usable = this.#usable()
      if (usable !== null) return usable
      if (this.#closed.signal.aborted || this.#options.guard.isBroken) return null
      this.#reconnect()
      const leftMs = (this.#downSinceMs ?? performance.now()) + this.#options.patienceMs - performance.now()
      if (leftMs <= 0) return null
      await this.#changed.wait(this.#closed.signal, leftMs)
    }
  }

  #lost(session: WriterSession, error: Error): void {
    if (session !== this.#session) return
    this.#session = null
    this.#options.logger.warn({ reason: error.message }, 'Lost the connection that appends to the event log')
    this.#reconnect()
  }

  #reconnect(): void {
    if (this.#connecting !== null || this.#session?.isUsable === true) return
    this.#downSinceMs ??= performance.now()
    this.#connecting = this.#connect().finally(() => {
      this.#connecting = null
      this.#changed.wake()
    })
  }

  async #connect(): Promise<void> {
    const { guard, logger } = this.#options
    const closed = this.#closed.signal
    for (let failures = 1; !closed.aborted && !guard.isBroken; failures += 1) {
      try {
        const session = await this.#newSession()
        if (!session.isUsable) continue
        this.#session = session
        logger.info(
          { downMs: Math.round(performance.now() - (this.#downSinceMs ?? performance.now())) },
          'Connected to the event log again',
        )
        this.#downSinceMs = null
        return
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        if (failures === 1) logger.warn({ reason }, 'The event log cannot be reached')
        await this.#changed.wait(closed, backOffMs(failures))
      }
    }
  }

  async #newSession(): Promise<WriterSession> {
    let opened: WriterSession | null = null
    opened = await WriterSession.open({
      ...this.#options,
      // One that is lost while it is being opened is nobody's yet: open() throws.
      onLost: (error) => opened !== null && this.#lost(opened, error),
    })
    return opened
  }
}
