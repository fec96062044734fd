import { getEventListeners } from 'node:events'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { clientConfig } from '../../src/postgres/connection.ts'
import type { Batch } from '../../src/projections/batch.ts'
import { FoldMemory } from '../../src/projections/foldMemory.ts'
import { ProjectedPipelines } from '../../src/projections/projectedPipelines.ts'
import { FencedError, RefusedDataError } from '../../src/projections/projectionStore.ts'
import type { Projections } from '../../src/projections/projections.ts'
import type { ReadModel } from '../../src/projections/readModel.ts'
import { PostgresShadowSession } from '../../src/projections/rebuild/shadowSession.ts'
import { eventually } from './support/eventually.ts'
import { Journal } from './support/journal.ts'
import { allRows } from './support/readModelDatabase.ts'
import { caughtUp, rebuildBench, someHistory } from './support/rebuildBench.ts'

const bench = rebuildBench()
const { start, node, shadowTables } = bench
const clients: pg.Client[] = []

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
})

/** Somebody else's session, in a transaction. */
async function stranger(...statements: readonly string[]): Promise<pg.Client> {
  const client = new pg.Client(clientConfig({ connectionString: bench.database.connectionString }))
  client.on('error', () => undefined)
  clients.push(client)
  await client.connect()
  await client.query('BEGIN')
  for (const statement of statements) await client.query(statement)
  return client
}

/** What a projector says, for tests to wait for. */
function listener() {
  const said: string[] = []
  const note = (_fields: object, message: string) => void said.push(message)
  return { said, logger: { info: note, warn: note, error: note } }
}

describe('the swap', () => {
  it('is not noticed by who reads: on two nodes, with statements prepared before it, while reports come in', async () => {
    const journal = await someHistory()
    const projecting = start(journal.log)
    const other = node(journal.log)
    await caughtUp(projecting, journal.position)
    let done = false
    const lookers = [projecting, other].flatMap((one) => [1, 2, 3].map(() => keepLooking(one, journal, () => done)))
    const reports = keepReporting(journal, () => done)
    for (let round = 0; round < 8; round += 1) await projecting.projector.rebuild()
    done = true
    await reports
    const looks = await Promise.all(lookers)
    expect(Math.min(...looks)).toBeGreaterThan(5)
    await caughtUp(other, journal.position)
  })

  it('waits for a long read of the tables in use, and neither the projection nor other reads do', async () => {
    const journal = await someHistory()
    const { said, logger } = listener()
    const projections = start(journal.log, { logger })
    const other = node(journal.log)
    await caughtUp(projections, journal.position)
    const reader = await stranger('SELECT count(*) FROM waybill_read.shapes')
    const rebuilt = projections.projector.rebuild()
    await eventually('two attempts', () =>
      said.filter((line) => line.includes('wait for who')).length >= 2 ? true : undefined,
    )
    expect(projections.projector.status().rebuild).toMatchObject({ stage: 'swapping' })
    await journal.open('op-new')
    await caughtUp(projections, journal.position)
    expect((await other.readModel.operation('op-new')).value).toMatchObject({ revision: 0n })
    const rows = await allRows(bench.database.admin)
    await reader.query('COMMIT')
    await rebuilt
    expect(await allRows(bench.database.admin)).toEqual(rows)
    expect(await shadowTables()).toEqual(['checkpoints'])
  })

  it('is given up when the tables are read at every attempt: the rows stay, and nothing else is left', async () => {
    const journal = await someHistory()
    const projections = start(journal.log, { swapAttemptsMax: 2 })
    await caughtUp(projections, journal.position)
    const rows = await allRows(bench.database.admin)
    const reader = await stranger('SELECT count(*) FROM waybill_read.operations')
    await expect(projections.projector.rebuild()).rejects.toThrow('other sessions held the tables at every attempt')
    expect(await allRows(bench.database.admin)).toEqual(rows)
    expect(await shadowTables()).toEqual(['checkpoints'])
    await journal.open('op-new')
    await caughtUp(projections, journal.position)
    await reader.query('COMMIT')
    await projections.projector.rebuild()
  })

  it('waits for a vacuum with the projection going on and readers reading', async () => {
    const journal = await someHistory()
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)
    // The lock of one.
    const vacuum = await stranger('LOCK TABLE waybill_read.operations IN SHARE UPDATE EXCLUSIVE MODE')
    const rebuilt = projections.projector.rebuild()
    await eventually('it waits', async () => {
      // A lock that hinders neither readers nor writers.
      const { rowCount } = await bench.database.admin.query(
        `SELECT FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND NOT granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
      return rowCount === 1 ? true : undefined
    })
    await journal.open('op-new')
    await caughtUp(projections, journal.position)
    expect((await projections.readModel.operation('op-new')).value).toMatchObject({ revision: 0n })
    await vacuum.query('COMMIT')
    await rebuilt
    expect((await projections.readModel.operation('op-new')).value).toMatchObject({ revision: 0n })
  })
})

describe('the fence', () => {
  const batch = { writes: [], refolds: [], from: 0n, to: 1n, events: 1 }

  it('keeps out of the shadow who wrote it before, and from the swap', async () => {
    const { old, next } = await twoWriters()
    await expect(old.session.rows.commit(batch)).rejects.toThrow(FencedError)
    await expect(old.session.makeIndexes()).rejects.toThrow(FencedError)
    await expect(old.session.swap(next.epoch)).rejects.toThrow(FencedError)
    await next.session.rows.commit(batch)
    expect(await bench.shadowPosition()).toBe(1n)
    await Promise.all([old.session.close(), next.session.close()])
  })

  it('keeps who owned the projection before from beginning, swapping or dropping anything', async () => {
    const { old, next, settings, logId } = await twoWriters()
    const { signal } = new AbortController()
    await expect(PostgresShadowSession.open(settings, { ownerEpoch: old.epoch, logId, signal })).rejects.toThrow(
      FencedError,
    )
    await expect(PostgresShadowSession.drop(settings, old.epoch)).rejects.toThrow(FencedError)
    await expect(next.session.swap(old.epoch)).rejects.toThrow(FencedError)
    // All of it was rolled back.
    await next.session.rows.commit(batch)
    await next.session.makeIndexes()
    expect(await next.session.swap(next.epoch)).toBe('swapped')
    await expect(next.session.rows.commit({ ...batch, from: 1n, to: 2n })).rejects.toThrow(FencedError)
    await expect(next.session.swap(next.epoch)).rejects.toThrow(FencedError)
    const { rows } = await bench.database.admin.query('SELECT position, epoch FROM checkpoints')
    expect(rows).toEqual([{ position: 1n, epoch: next.epoch + 1n }])
    await Promise.all([old.session.close(), next.session.close()])
  })

  it('lets no shadow that is behind take the place of the rows in use', async () => {
    const { old, next } = await twoWriters()
    await bench.database.admin.query('UPDATE checkpoints SET position = 5')
    await next.session.rows.commit(batch)
    expect(await next.session.swap(next.epoch)).toBe('behind')
    await Promise.all([old.session.close(), next.session.close()])
  })

  it('leaves nothing at the signal of its rebuild, which may open many', async () => {
    const { old, next, settings, logId } = await twoWriters()
    const { signal } = new AbortController()
    const session = await PostgresShadowSession.open(settings, { ownerEpoch: next.epoch, logId, signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await session.close()
    const fenced = PostgresShadowSession.open(settings, { ownerEpoch: old.epoch, logId, signal })
    await expect(fenced).rejects.toThrow(FencedError)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await Promise.all([old.session.close(), next.session.close()])
  })
})

/** Each opened the shadow as the projection's owner of then. */
async function twoWriters() {
  const { connectionString, role, admin } = bench.database
  const settings = { connectionString, role }
  const logId = crypto.randomUUID()
  const { signal } = new AbortController()
  const takeOver = async () => {
    const { rows } = await admin.query<{ epoch: bigint }>(
      'UPDATE checkpoints SET epoch = epoch + 1, log_id = $1, fold_version = 1 RETURNING epoch',
      [logId],
    )
    const ownerEpoch = rows[0]?.epoch ?? -1n
    return { epoch: ownerEpoch, session: await PostgresShadowSession.open(settings, { ownerEpoch, logId, signal }) }
  }
  const old = await takeOver()
  return { old, next: await takeOver(), settings, logId }
}

/** Reports on any operation, and opens one now and then. */
async function keepReporting(journal: Journal, isDone: () => boolean): Promise<void> {
  for (let turn = 0; !isDone(); turn += 1) {
    if (turn % 5 === 0) await journal.open(`new-${turn}`)
    else await journal.report(`op-${4 + (turn % 25)}`, `turn ${turn}`, { data: { turn } })
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
}

/** Looks in every way there is; each look must be right for its checkpoint, and none may go back. Resolves with the rounds made. */
async function keepLooking({ readModel }: Projections, journal: Journal, isDone: () => boolean): Promise<number> {
  let rounds = 0
  let seen = 0n
  const at = (position: bigint) => {
    expect(position >= seen, `${position} after ${seen}`).toBe(true)
    seen = position
  }
  for (; !isDone(); rounds += 1) {
    const one = await readModel.operation('op-7')
    at(one.position)
    const stats = await readModel.stats()
    at(stats.position)
    const counted = Object.values(stats.value.pipelines).reduce((sum, { operations }) => sum + operations, 0)
    const pages = await lists(readModel)
    for (const { position } of pages) at(position)
    const changed = await readModel.operationsById(['op-7', 'op-8'])
    at(changed.position)
    const parked = await readModel.parkedStreams(10)
    at(parked.position)
    at((await readModel.pipelines(100)).position)
    expect(parked.value.map(({ stream }) => stream)).toEqual(['operation-op-3'])
    const events = await journal.log.readAll({ after: 0n, maxCount: 10_000 })
    const revision = (id: string, position: bigint) =>
      BigInt(events.filter((event) => event.stream === `operation-${id}` && event.position <= position).length - 1)
    const opened = (position: bigint) =>
      new Set(
        events
          .filter(({ stream, position: of }) => stream.startsWith('operation-') && of <= position)
          .map((event) => event.stream),
      ).size
    expect(one.value?.revision).toBe(revision('op-7', one.position))
    expect(counted).toBe(opened(stats.position))
    for (const { position, value } of pages) {
      expect(value).toHaveLength(opened(position))
      for (const row of value) {
        if (row.parked === null) expect(row.revision, row.id).toBe(revision(row.id, position))
      }
    }
    expect(changed.value).toHaveLength(2)
    for (const { row } of changed.value) expect(row.revision).toBe(revision(row.id, changed.position))
  }
  return rounds
}

/** All operations, found through their shapes and walked through in order of time. */
async function lists(readModel: ReadModel) {
  return [
    await readModel.operations({ sort: 'id', pageSize: 1_000 }),
    await readModel.operations({ sort: '-updatedAt', pageSize: 1_000 }),
  ]
}

describe('a batch of more rows than one statement takes', () => {
  const operations = 4_500
  const count = async () => {
    const { rows } = await bench.database.admin.query<{ count: bigint }>(
      'SELECT count(*) FROM waybill_shadow.operations',
    )
    return rows[0]?.count
  }

  async function foldedBatch(): Promise<Batch> {
    const journal = new Journal(createMemoryEventLog())
    for (let index = 0; index < operations; index += 1) await journal.open(`op-${index}`)
    const memory = new FoldMemory(1_000_000, journal.log)
    const folding = memory.folding(0n)
    const rows = { loadStates: async () => [] }
    await memory.fold(rows, folding, await journal.log.readAll({ after: 0n, maxCount: operations }))
    return memory.finish(folding)
  }

  it('is written as one: what is asked meanwhile is answered from all of it', async () => {
    const batch = await foldedBatch()
    const { old, next } = await twoWriters()
    const committed = next.session.rows.commit(batch)
    // Its row is in the last statement.
    const loaded = next.session.rows.loadStates([`op-${operations - 1}`], new ProjectedPipelines())
    await committed
    expect(await bench.shadowPosition()).toBe(batch.to)
    expect(await count()).toBe(BigInt(operations))
    expect(await loaded).toMatchObject([{ state: { id: `op-${operations - 1}` } }])
    const { rows } = await bench.database.admin.query('SELECT operations FROM waybill_shadow.shapes')
    expect(rows).toEqual([{ operations: BigInt(operations) }])
    await Promise.all([old.session.close(), next.session.close()])
  })

  it('is not written at all when the database refuses one of its last rows', async () => {
    const batch = await foldedBatch()
    const { old, next } = await twoWriters()
    const [first] = batch.writes
    if (first === undefined) throw new Error('no write')
    const twice = { ...batch, writes: [...batch.writes, first] }
    await expect(next.session.rows.commit(twice)).rejects.toThrow(RefusedDataError)
    expect(await bench.shadowPosition()).toBe(0n)
    expect(await count()).toBe(0n)
    await next.session.rows.commit(batch)
    expect(await count()).toBe(BigInt(operations))
    await Promise.all([old.session.close(), next.session.close()])
  })
})
