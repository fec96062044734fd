import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { AppendRequest, EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { createLogDatabase, type LogDatabase, newEvent, newStream, until } from './logDatabase.ts'

const next = (request: AppendRequest, expectedRevision: bigint): AppendRequest => ({
  ...request,
  expectedRevision,
  events: [newEvent()],
})
/** Asks where the stream stands and writes nothing: no unique index stands behind the answer. */
const check = (request: AppendRequest, expectedRevision: bigint): AppendRequest => ({
  ...request,
  expectedRevision,
  events: [],
})

describe('what a node knows of the streams', () => {
  let database: LogDatabase

  beforeAll(async () => {
    database = await createLogDatabase()
  })
  afterAll(() => database.drop())

  const open = async (): Promise<EventLog> => {
    const log = await openPostgresEventLog({ connectionString: database.connectionString })
    onTestFinished(() => log.close())
    return log
  }
  const turn = async () => Number((await database.owner.query('SELECT turn FROM waybill_log.log_head')).rows[0].turn)
  /** As a node of the version before appends. */
  const appendAsBefore = async (log: EventLog, { stream }: AppendRequest, expected: number) => {
    const { rows } = await database.owner.query(
      `SELECT conflicts FROM waybill_log.append($1, $2, ARRAY[$3]::bigint[], '{1}', '{0}', '{1}', '{1}',
         ARRAY[gen_random_uuid()], 'Happened', '{}', '{}')`,
      [log.logId, stream, expected],
    )
    expect(rows).toEqual([{ conflicts: '' }])
  }

  it('is not looked up again while it alone writes', async () => {
    const lookups = async () => {
      await database.owner.query('SELECT pg_stat_clear_snapshot()')
      const { rows } = await database.owner.query(
        "SELECT idx_scan::int AS scans FROM pg_stat_user_indexes WHERE indexrelname = 'streams_name_key'",
      )
      return rows[0].scans
    }
    const log = await openPostgresEventLog({ connectionString: database.connectionString })
    const streams = Array.from({ length: 20 }, () => newStream())
    await log.append(streams)
    const inTurn = await turn()
    for (let revision = 0n; revision < 5n; revision += 1n) {
      const outcomes = await log.append(streams.map((stream) => next(stream, revision)))
      expect(outcomes).toEqual(
        streams.map(() => expect.objectContaining({ kind: 'appended', revision: revision + 1n })),
      )
    }
    expect(await turn()).toBe(inTurn)
    const before = await lookups()
    await log.close()
    // A session's counts arrive with its end: the look-ups of 20 new streams, no more.
    await until(async () => (await lookups()) > before, 'the counts arrive')
    expect((await lookups()) - before).toBe(20)
  })

  it.each(['another node', 'a node of the version before'])(
    'is forgotten, all of it, once %s has written',
    async (who) => {
      const [node, other] = [await open(), await open()]
      const [one, two, three] = [newStream(), newStream(), newStream()]
      await node.append([one, two, three])
      if (who === 'another node') {
        expect(await other.append([next(two, 0n), next(three, 0n)])).toMatchObject([
          { kind: 'appended' },
          { kind: 'appended' },
        ])
      } else {
        await appendAsBefore(node, two, 0)
        await appendAsBefore(node, three, 0)
      }
      // Finds out, with a stream that the other has left alone.
      expect(await node.append([next(one, 0n)])).toMatchObject([{ kind: 'appended', revision: 1n }])
      expect(await node.append([check(two, 0n)])).toEqual([{ kind: 'conflict', actualRevision: 1n }])
      expect(await node.append([next(three, 0n)])).toEqual([{ kind: 'conflict', actualRevision: 1n }])
      expect(await node.append([next(three, 1n), next(one, 1n)])).toMatchObject([
        { kind: 'appended', revision: 2n },
        { kind: 'appended', revision: 2n },
      ])
    },
  )

  it('does not serve the second of two calls in flight when the other node wrote before the first', async () => {
    const [node, other] = [await open(), await open()]
    const [one, two] = [newStream(), newStream()]
    await node.append([one, two])
    const head = await database.holdHead()
    const waiting = async (count: number) => {
      const { rows } = await database.owner.query(
        `SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name = 'waybill append' AND wait_event_type = 'Lock'`,
        [database.name],
      )
      return rows.length === count
    }
    const foreign = other.append([next(one, 0n), next(two, 0n)])
    await until(() => waiting(1), 'the other node waits for the head')
    const first = node.append([next(one, 0n)])
    const second = node.append([check(two, 0n)])
    await until(() => waiting(2), 'the node waits behind it')
    await head.release('COMMIT')
    expect(await foreign).toMatchObject([{ kind: 'appended' }, { kind: 'appended' }])
    expect(await first).toEqual([{ kind: 'conflict', actualRevision: 1n }])
    expect(await second).toEqual([{ kind: 'conflict', actualRevision: 1n }])
  })

  it('is forgotten after a refusal, so that the next append is judged by what is there', async () => {
    const log = await open()
    const there = newStream()
    await log.append([there])
    await database.owner.query(
      `INSERT INTO waybill_log.events (position, revision, stream_number, id, type, data, metadata)
       SELECT 2000000000, 1, number, gen_random_uuid(), 'Forged', '{}', '{}' FROM waybill_log.streams WHERE name = $1`,
      [there.stream],
    )
    const [neighbour, stale] = await log.append([newStream(), next(there, 0n)])
    expect(neighbour).toMatchObject({ kind: 'appended' })
    expect(stale).toEqual({ kind: 'conflict', actualRevision: 1n })
  })
})
