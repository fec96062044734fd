import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { AppendRequest, EventLog, RecordedEvent } from '../../../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../../../src/eventlog/postgres/postgresEventLog.ts'
import { copyDatabase, dropDatabase } from '../../../nodes/support/databaseCopy.ts'
import type { Call } from '../call.ts'
import { checkHistory, type HistoryEvidence, type Verdict } from '../checkHistory.ts'
import { type ReadModelRows, readReadModel } from '../readModelRows.ts'
import { readLogFromDatabase } from '../recordedLog.ts'
import type { CleanHistory } from './cleanHistory.ts'

/** A copy of a clean history's database, to be spoilt. */
export interface SpoiltCopy {
  readonly connectionString: string
  /** As its owner, to whom the log's own protection does not apply. */
  readonly admin: pg.Client
  /** Through the log's own door, as a node would. Fails when it is not taken. */
  readonly append: (request: AppendRequest) => Promise<{ readonly revision: bigint; readonly position: bigint }>
}

/** What besides the log is to be looked at; what is left out is the clean history's. */
export interface Planted {
  readonly calls?: readonly Call[]
  /** True: the copy's own rows. */
  readonly readModel?: boolean
  readonly rebuilt?: ReadModelRows
}

/** Spoils a copy of the history's database and gives what the checker says. */
export async function verdictOnSpoilt(
  { database, calls }: CleanHistory,
  spoil: (copy: SpoiltCopy) => Promise<Planted>,
): Promise<Verdict> {
  const name = `spoilt_${randomBytes(6).toString('hex')}`
  await copyDatabase(database.name, name)
  const url = new URL(database.connectionString)
  url.pathname = `/${name}`
  const connectionString = url.toString()
  const admin = new pg.Client({ connectionString })
  admin.on('error', () => undefined)
  try {
    await admin.connect()
    await admin.query('ALTER TABLE waybill_log.events DISABLE TRIGGER ALL')
    const planted = await spoil({ connectionString, admin, append: (request) => appendTo(connectionString, request) })
    const evidence: HistoryEvidence = {
      calls: planted.calls ?? calls,
      log: await readLogFromDatabase(connectionString),
      ...(planted.readModel === true ? { readModel: await readReadModel(connectionString) } : {}),
      ...(planted.rebuilt === undefined ? {} : { rebuilt: planted.rebuilt }),
    }
    return checkHistory(evidence)
  } finally {
    await admin.end()
    await dropDatabase(name)
  }
}

async function appendTo(connectionString: string, request: AppendRequest) {
  const log = await openPostgresEventLog({ connectionString })
  try {
    const [outcome] = await log.append([request])
    if (outcome?.kind !== 'appended') throw new Error(`not appended: ${outcome?.kind}`)
    return outcome
  } finally {
    await log.close()
  }
}

/** The log for a projector that skips the event at this position. */
export function without(log: EventLog, position: bigint): EventLog {
  const kept = (events: readonly RecordedEvent[]) => events.filter((event) => event.position !== position)
  return {
    logId: log.logId,
    append: (batch) => log.append(batch),
    readStream: (stream, options) => log.readStream(stream, options),
    readEvent: (stream, id) => log.readEvent(stream, id),
    head: () => log.head(),
    close: () => log.close(),
    readAll: async (options) => kept(await log.readAll(options)),
    async *subscribe(options) {
      for await (const events of log.subscribe(options)) yield kept(events)
    },
  }
}
