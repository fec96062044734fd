import type pg from 'pg'
import { CopyError, type CopySource, type CopyTarget } from '../copy/copyLog.ts'
import type { RecordedEvent } from '../eventLog.ts'
import { splitBySize } from '../splitBySize.ts'
import { migrateEventLog } from './migrateEventLog.ts'
import { connectOwner, hasLog } from './ownerSession.ts'
import { openPostgresEventLog, type PostgresLog } from './postgresEventLog.ts'

/** About so many characters go into one import. */
const importCharactersMax = 4_000_000

type LogState = 'open' | 'importing' | 'closed'

interface Head {
  readonly state: LogState
  readonly copiedFrom: string | null
  readonly position: bigint
}

/** A log, and a session of its schema's owner. */
interface Store {
  readonly log: PostgresLog
  readonly owner: pg.Client
  readonly end: () => Promise<void>
}

/** @param connectionString of the schema's owner, on a direct connection. */
export async function openPostgresSource(connectionString: string): Promise<CopySource> {
  const { log, owner, end } = await openStore(connectionString, async (session) => {
    if (!(await hasLog(session))) throw new CopyError('The source database holds no log')
    await migrateEventLog(connectionString)
    if ((await readHead(session)).state === 'importing')
      throw new CopyError('The source is a copy that is not finished')
  })
  return {
    log,
    end,
    async close() {
      await owner.query(`UPDATE waybill_log.log_head SET state = 'closed'`)
    },
    async reopen() {
      await owner.query(`UPDATE waybill_log.log_head SET state = 'open' WHERE state = 'closed'`)
    },
    // The trigger on the head row sees to it.
    async checkUnmoved() {
      const { state } = await readHead(owner)
      if (state !== 'closed') throw new CopyError('The source was opened again while it was being copied')
    },
  }
}

/** Makes the schema where it is not there. @param connectionString of the schema's owner, on a direct connection. */
export async function openPostgresTarget(connectionString: string): Promise<CopyTarget> {
  const { log, owner, end } = await openStore(connectionString, async () => {
    await migrateEventLog(connectionString)
  })
  return {
    log,
    end,
    begin: (sourceLogId) => begin(owner, sourceLogId),
    async last() {
      const { position } = await readHead(owner)
      if (position === 0n) return null
      const [event] = await log.readAll({ after: position - 1n, maxCount: 1 })
      return event ?? null
    },
    add: (events) => add(owner, events),
    async finish() {
      await owner.query(`UPDATE waybill_log.log_head SET state = 'open' WHERE state = 'importing'`)
    },
  }
}

/** `prepare` is done before the log is opened; when it throws, nothing stays open. */
async function openStore(connectionString: string, prepare: (owner: pg.Client) => Promise<void>): Promise<Store> {
  const owner = await connectOwner(connectionString, 'waybill copy-log')
  try {
    await prepare(owner)
    const log = await openPostgresEventLog({ connectionString, role: null, whateverState: true })
    const end = async () => {
      await log.close()
      await owner.end()
    }
    return { log, owner, end }
  } catch (error) {
    await owner.end()
    throw error
  }
}

async function begin(owner: pg.Client, sourceLogId: string): Promise<void> {
  const { state, copiedFrom, position } = await readHead(owner)
  if (state === 'importing' && copiedFrom === sourceLogId) return
  if (state === 'importing') throw new CopyError(`The target is an unfinished copy of another log, ${copiedFrom}`)
  if (state === 'closed' || position !== 0n) {
    throw new CopyError(`The target is not empty: it holds ${position} events. Give an empty database`)
  }
  await owner.query(
    `UPDATE waybill_log.log_head SET state = 'importing', copied_from = $1 WHERE state = 'open' AND position = 0`,
    [sourceLogId],
  )
}

async function add(owner: pg.Client, events: readonly RecordedEvent[]): Promise<void> {
  let { position } = await readHead(owner)
  const charactersOf = ({ data, metadata }: RecordedEvent) => data.length + metadata.length
  for (const part of splitBySize(events, charactersOf, importCharactersMax)) {
    const { rows } = await owner.query<[string]>({
      name: 'waybill_import',
      text: 'SELECT waybill_log.import_events($1, $2, $3, $4, $5, $6, $7)::text',
      values: [position, ...columnsOf(part)],
      rowMode: 'array',
    })
    position = BigInt(rows[0]?.[0] ?? 0)
  }
}

async function readHead(owner: pg.Client): Promise<Head> {
  const { rows } = await owner.query<[LogState, string | null, string]>({
    text: 'SELECT state, copied_from::text, position::text FROM waybill_log.log_head',
    rowMode: 'array',
  })
  const [row] = rows
  if (row === undefined) throw new CopyError('The database has a log without a head row')
  const [state, copiedFrom, position] = row
  return { state, copiedFrom, position: BigInt(position) }
}

function columnsOf(events: readonly RecordedEvent[]): unknown[] {
  return [
    events.map(({ stream }) => stream),
    events.map(({ revision }) => revision),
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ data }) => data),
    events.map(({ metadata }) => metadata),
  ]
}
