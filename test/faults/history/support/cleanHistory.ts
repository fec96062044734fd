import pg from 'pg'
import { pino } from 'pino'
import { readConfig } from '../../../../src/config.ts'
import { createRandom } from '../../../../src/demo/random.ts'
import { type Service, startService } from '../../../../src/service.ts'
import { until } from '../../../nodes/support/until.ts'
import { WaybillHttp } from '../../../nodes/support/waybillHttp.ts'
import { createMigratedDatabase, type TestDatabase } from '../../../support/database.ts'
import { defineKinds, newWorld, runClient } from '../../workload.ts'
import type { Call } from '../call.ts'
import { type ReadModelRows, readReadModel } from '../readModelRows.ts'
import { type RecordedLog, readLogFromDatabase, readLogOverHttp } from '../recordedLog.ts'
import { MemoryRecorder } from '../recorder.ts'
import { RecordingClient } from '../recordingClient.ts'

/** What a sound service did under clients that race, retry and lose their sessions. */
export interface CleanHistory {
  readonly database: TestDatabase
  readonly calls: readonly Call[]
  readonly log: RecordedLog
  /** The same, as the service itself gives it. */
  readonly logOverHttp: RecordedLog
  readonly readModel: ReadModelRows
}

const clientCount = 8
/** How often the database ends all sessions, under way or not. */
const interruptions = 3

export interface HistoryOptions {
  readonly seed: number
  readonly callsMin: number
}

/** Two nodes on a database of their own, stopped again when this returns; the database stays. */
export async function recordCleanHistory(options: HistoryOptions): Promise<CleanHistory> {
  const database = await createMigratedDatabase()
  const { connectionString } = database
  const nodes: Service[] = []
  try {
    for (let n = 0; n < 2; n += 1) {
      const config = readConfig({ DATABASE_URL: connectionString, WAYBILL_PORT: '0' })
      nodes.push(await startService({ config, logger: pino({ level: 'silent' }) }))
    }
    const recorder = new MemoryRecorder()
    await runClients(
      nodes.map(({ url }) => url),
      recorder,
      connectionString,
      options,
    )
    const [url = ''] = nodes.map((node) => node.url)
    const logOverHttp = await caughtUp(url)
    const readModel = await readReadModel(connectionString)
    const log = await readLogFromDatabase(connectionString)
    return { database, calls: recorder.calls, log, logOverHttp, readModel }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
  }
}

async function runClients(
  urls: readonly string[],
  recorder: MemoryRecorder,
  connectionString: string,
  { seed, callsMin }: HistoryOptions,
): Promise<void> {
  const clients = Array.from({ length: clientCount }, (_, n) => new RecordingClient(`c${n}`, urls, recorder, n))
  const [first] = clients
  if (first !== undefined) await defineKinds(first)
  const world = newWorld(3, 300)
  const random = createRandom(seed)
  const ending = new AbortController()
  const runs = clients.map((client, n) =>
    runClient({
      name: `c${n}`,
      client,
      world,
      random: random.fork(`${n}`),
      pauseMs: 0,
      signal: ending.signal,
      giveUp: new AbortController().signal,
    }),
  )
  const running = Promise.all(runs)
  try {
    for (let part = 1; part <= interruptions + 1; part += 1) {
      const calls = (callsMin * part) / (interruptions + 1)
      await Promise.race([until(`${calls} calls`, 60_000, () => recorder.calls.length >= calls), running])
      if (part <= interruptions) await endSessions(connectionString)
    }
  } finally {
    ending.abort()
    await running
    for (const client of clients) client.close()
  }
}

async function endSessions(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    )
  } finally {
    await client.end()
  }
}

async function caughtUp(url: string): Promise<RecordedLog> {
  const http = new WaybillHttp(url)
  try {
    await until('the read model has caught up', 20_000, async () => {
      const { status, body } = await http.get('/v1/stats')
      return status === 200 && body.position === body.head
    })
    return await readLogOverHttp(url)
  } finally {
    http.close()
  }
}
