import type pg from 'pg'
import { BoundedClient } from '../postgres/boundedClient.ts'
import { clientConfig } from '../postgres/connection.ts'
import { createSemaphore } from '../runtime/semaphore.ts'

export interface SessionSettings {
  readonly connectionString: string
  /** The role the session runs as; null: the connecting user. */
  readonly role?: string | null
}

export interface SessionKind {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  /** The schema whose tables its statements mean. */
  readonly schema: string
}

/** The longest wait for an answer, after which the connection is given up; the server gives up 5 s before. */
const answerTimeoutMs = 25_000
/** The same for what takes as long as the tables are large. */
const slowAnswerTimeoutMs = 3_600_000

/** A connection that writes a set of the projection's tables. Every wait on it has a bound. */
export class DatabaseSession {
  readonly #client: pg.Client
  #lost: Error | null = null
  #answerTimeoutMs = answerTimeoutMs
  readonly #oneAtATime = createSemaphore(1)

  private constructor(client: pg.Client) {
    this.#client = client
    client.on('error', (error) => {
      this.#lost = error
    })
    client.on('end', () => {
      this.#lost ??= new Error('the connection ended')
    })
  }

  static async connect(settings: SessionSettings, { applicationName, schema }: SessionKind): Promise<DatabaseSession> {
    const client = new BoundedClient(
      clientConfig({
        connectionString: settings.connectionString,
        applicationName,
        statementTimeoutMs: answerTimeoutMs - 5_000,
        lockTimeoutMs: 10_000,
        idleInTransactionTimeoutMs: 60_000,
        role: settings.role,
      }),
    )
    const session = new DatabaseSession(client)
    await client.connect()
    await client.query(`SET search_path TO ${schema}`)
    // Plans of prepared statements outlive the sizes they were made for: only lookups by key are right at any size.
    await client.query('SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off')
    return session
  }

  /** Set when the connection is gone, and its locks with it. */
  get lost(): Error | null {
    return this.#lost
  }

  /** One query after the other: `pg` will no longer queue them itself. */
  query<Row extends pg.QueryResultRow>(
    text: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>> {
    return this.#oneAtATime.run(() => this.#ask<Row>(text, values))
  }

  /** All or nothing, and no other query between those of `work`. */
  transaction(work: (query: DatabaseSession['query']) => Promise<void>): Promise<void> {
    return this.#oneAtATime.run(async () => {
      await this.#ask('BEGIN')
      try {
        await work((text, values) => this.#ask(text, values))
        await this.#ask('COMMIT')
      } catch (error) {
        await this.#ask('ROLLBACK').catch(() => undefined)
        throw error
      }
    })
  }

  /** For statements that may take up to an hour. */
  async slowly(work: () => Promise<void>): Promise<void> {
    this.#answerTimeoutMs = slowAnswerTimeoutMs
    await this.query('SET statement_timeout = 0')
    try {
      await work()
    } finally {
      this.#answerTimeoutMs = answerTimeoutMs
      await this.query(`SET statement_timeout = ${answerTimeoutMs - 5_000}`).catch(() => undefined)
    }
  }

  /** Ends the connection at once, and with it whatever is under way. */
  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined)
  }

  /** A server that fell silent would otherwise be waited for as long as it likes. */
  async #ask<Row extends pg.QueryResultRow>(
    text: string | pg.QueryConfig,
    values?: unknown[],
  ): Promise<pg.QueryResult<Row>> {
    const timer = setTimeout(() => void this.close(), this.#answerTimeoutMs)
    try {
      return await this.#client.query<Row>(text, values)
    } finally {
      clearTimeout(timer)
    }
  }
}
