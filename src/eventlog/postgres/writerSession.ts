import { randomBytes } from 'node:crypto'
import { BoundedClient } from '../../postgres/boundedClient.ts'
import { clientConfig } from '../../postgres/connection.ts'
import type { Chain } from '../chains.ts'
import { appendQuery, type Caller, type ChainAnswer, decodeAnswer, emptyCall, encodeCall } from './appendCall.ts'
import type { IdentityGuard } from './identity.ts'
import { KnownStreams } from './knownStreams.ts'
import { type ServerError, serverError } from './sqlState.ts'

export interface WriterSessionOptions {
  readonly connectionString: string
  readonly role: string | null
  readonly connectTimeoutMs: number
  /** lockTimeoutMs < statementTimeoutMs < deadlineMs (correctness.md row 4). */
  readonly lockTimeoutMs: number
  readonly statementTimeoutMs: number
  /** Longest silence of the server while a call is its next to answer; then the session is destroyed. */
  readonly deadlineMs: number
  readonly guard: IdentityGuard
  readonly onLost: (error: Error) => void
}

export type SessionAnswer =
  | { readonly kind: 'answers'; readonly headBefore: bigint; readonly answers: readonly ChainAnswer[] }
  /** The server refused the call: nothing of it was appended. */
  | { readonly kind: 'error'; readonly error: ServerError }
  /** The session ended before the answer: the call may have been appended, or still be about to. */
  | { readonly kind: 'lost' }

/**
 * One connection for appends, in pipeline mode: the next call is sent while the one before is being worked on, and the
 * server takes them in order. (Two connections would let the second overtake the first.)
 */
export class WriterSession {
  /**
   * Key of an advisory lock this session holds from before its first call until the server has ended it. Who gets the lock
   * after us knows that nothing of ours can land any more.
   */
  readonly lockKey: bigint
  readonly #client: BoundedClient
  readonly #guard: IdentityGuard
  readonly #known = new KnownStreams()
  readonly #deadlineMs: number
  readonly #onLost: (error: Error) => void
  /** Calls sent and not answered. */
  #inFlight = 0
  #deadline: NodeJS.Timeout | undefined
  #lost = false
  #closing = false

  static async open(options: WriterSessionOptions): Promise<WriterSession> {
    const client = new BoundedClient(
      clientConfig({
        connectionString: options.connectionString,
        applicationName: 'waybill append',
        role: options.role,
        connectTimeoutMs: options.connectTimeoutMs,
        lockTimeoutMs: options.lockTimeoutMs,
        statementTimeoutMs: options.statementTimeoutMs,
        idleInTransactionTimeoutMs: options.statementTimeoutMs,
        pipeline: true,
      }),
    )
    const session = new WriterSession(client, options)
    try {
      await client.connect()
      await options.guard.admit(client)
      await client.query('SELECT pg_advisory_lock($1)', [session.lockKey])
      // append_chains() refuses any other, and a database may have another default.
      await client.query("SET default_transaction_isolation = 'read committed'")
      await limitSilence(client, options.statementTimeoutMs)
      await client.query({ ...call, values: emptyCall(session.#caller) })
    } catch (error) {
      session.destroy(error instanceof Error ? error : new Error(String(error)), false)
      throw error
    }
    return session
  }

  private constructor(client: BoundedClient, options: WriterSessionOptions) {
    this.lockKey = randomBytes(8).readBigInt64BE()
    this.#client = client
    this.#guard = options.guard
    this.#deadlineMs = options.deadlineMs
    this.#onLost = options.onLost
    client.on('error', (error) => this.destroy(error, true))
    client.on('end', () => this.destroy(new Error('The server closed the connection'), true))
  }

  get isUsable(): boolean {
    return !this.#lost && !this.#closing
  }

  get #caller(): Caller {
    return { logId: this.#guard.logId, session: this.lockKey, writerEpoch: this.#known.writerEpoch }
  }

  async append(chains: readonly Chain[]): Promise<SessionAnswer> {
    const known = chains.map((chain) => this.#known.numberFor(chain))
    const values = encodeCall(this.#caller, chains, known)
    this.#inFlight += 1
    if (this.#inFlight === 1) this.#awaitAnswer()
    try {
      const { rows } = await this.#client.query<string[]>({ ...call, values })
      const [headBefore, conflicts, writerEpoch, numbers] = rows[0] ?? []
      if (headBefore === undefined || conflicts === undefined || writerEpoch === undefined || numbers === undefined) {
        throw new Error('append_chains() answered without a row')
      }
      const answers = decodeAnswer(chains, headBefore, conflicts)
      this.#known.learn(BigInt(writerEpoch), chains, answers, numbers === '' ? known : numbers.split(',').map(Number))
      return { kind: 'answers', headBefore: BigInt(headBefore), answers }
    } catch (error) {
      const refused = serverError(error)
      this.#known.forget()
      if (refused !== null && !refused.fatal) return { kind: 'error', error: refused }
      this.destroy(error instanceof Error ? error : new Error(String(error)), true)
      return { kind: 'lost' }
    } finally {
      this.#inFlight -= 1
      this.#awaitAnswer()
    }
  }

  /** Ends the session. What is in flight comes back `lost`. */
  destroy(error: Error, tell: boolean): void {
    if (this.#lost) return
    this.#lost = true
    clearTimeout(this.#deadline)
    // A reset, not a close: after a close the kernel would go on delivering what it has buffered, for minutes.
    const { socket } = this.#client
    if (socket.remoteFamily === undefined) socket.destroy()
    else socket.resetAndDestroy()
    if (tell && !this.#closing) this.#onLost(error)
  }

  /** Ends the session once what is in flight has been answered. */
  async close(): Promise<void> {
    this.#closing = true
    if (!this.#lost) await this.#client.end()
    clearTimeout(this.#deadline)
  }

  /** The server answers in order: the clock runs for the call at the head of the queue, anew after each answer. */
  #awaitAnswer(): void {
    clearTimeout(this.#deadline)
    if (this.#inFlight === 0 || this.#lost) return
    this.#deadline = setTimeout(() => {
      this.destroy(new Error(`No answer to an append within ${this.#deadlineMs} ms`), true)
    }, this.#deadlineMs)
  }
}

const call = { name: 'waybill_append', text: appendQuery, rowMode: 'array' } as const

/**
 * Has the server find out by itself, in seconds, that a client is gone without a word. Not every platform knows these
 * settings; the bounds on statements and locks hold everywhere.
 */
async function limitSilence(client: BoundedClient, timeoutMs: number): Promise<void> {
  const settings = {
    tcp_user_timeout: timeoutMs,
    tcp_keepalives_idle: 5,
    tcp_keepalives_interval: 2,
    tcp_keepalives_count: 3,
  }
  for (const [name, value] of Object.entries(settings)) {
    await client.query('SELECT set_config($1, $2, false)', [name, String(value)]).catch((error: unknown) => {
      if (serverError(error) === null) throw error
    })
  }
}
