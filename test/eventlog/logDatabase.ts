import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { AppendRequest, EventToAppend } from '../../src/eventlog/eventLog.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'

export interface LogDatabase extends TestDatabase {
  /** A session of the database's owner. */
  readonly owner: pg.Client
  /** Takes the head's lock as a writer does, in a session of its own, until released. */
  holdHead(): Promise<HeldHead>
  /** Process ids of the sessions that append. */
  writerPids(): Promise<number[]>
}

export interface HeldHead {
  readonly client: pg.Client
  release(how: 'COMMIT' | 'ROLLBACK'): Promise<void>
}

/** A database with an empty log in it. */
export async function createLogDatabase(): Promise<LogDatabase> {
  const database = await createMigratedDatabase()
  const owner = new pg.Client({ connectionString: database.connectionString })
  owner.on('error', () => undefined)
  await owner.connect()
  return {
    ...database,
    owner,
    async holdHead() {
      const client = new pg.Client({ connectionString: database.connectionString })
      await client.connect()
      await client.query('BEGIN')
      await client.query('SELECT FROM waybill_log.log_head FOR NO KEY UPDATE')
      return {
        client,
        release: async (how) => {
          await client.query(how)
          await client.end()
        },
      }
    },
    async writerPids() {
      const { rows } = await owner.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append'`,
        [database.name],
      )
      return rows.map(({ pid }) => pid)
    },
    async drop() {
      await owner.end()
      await database.drop()
    },
  }
}

export const newEvent = (override: Partial<EventToAppend> = {}): EventToAppend => ({
  id: randomUUID(),
  type: 'Happened',
  data: '{}',
  metadata: '{}',
  ...override,
})

/** One event that starts a stream of its own. */
export function newStream(override: Partial<EventToAppend> = {}): AppendRequest {
  return { stream: `stream-${randomUUID()}`, expectedRevision: 'noStream', events: [newEvent(override)] }
}

/** Waits until `condition` holds, looking every few milliseconds; throws after `timeoutMs`. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = patienceMs,
): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
