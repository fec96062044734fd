import { expect, onTestFinished, test } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { audit } from '../../src/processes/auditChecks.ts'
import { createAuditRows } from '../../src/projections/auditRows.ts'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import { createProjections } from '../../src/projections/projections.ts'
import type { OperationQuery } from '../../src/projections/readModel.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { expectedIds, placeOf } from './support/listModel.ts'
import { allRows, createReadModelDatabase } from './support/readModelDatabase.ts'

const namedMax = 1_000

async function anyJournal(): Promise<Journal> {
  const journal = new Journal(createMemoryEventLog())
  const requests = []
  // The first operation passes through statuses that none is left in.
  for (let index = 0; index < 300; index += 1) {
    requests.push(
      journal.decide('op-through', { type: 'ReportStatus', service: 's', status: `through ${index}`, pipeline: 'any' }),
    )
  }
  for (let index = 0; index < 1_000; index += 1) {
    const body = { type: 'ReportStatus', service: 's', status: `free ${index}`, pipeline: 'any' } as const
    requests.push(journal.decide(`op-${index}`, body))
  }
  for (const request of requests) if (request !== null) await journal.append([request])
  return journal
}

async function start(journal: Journal, batchEventsMax: number) {
  const database = await createReadModelDatabase()
  onTestFinished(() => database.drop())
  const { connectionString, role } = database
  const node = (confirmed?: (id: string) => ReturnType<Journal['states']['get']> | null) => {
    const projections = createProjections({
      connectionString,
      role,
      log: journal.log,
      windowMs: 1,
      batchEventsMax,
      ...(confirmed === undefined ? {} : { confirmed: (id: string) => confirmed(id) ?? null }),
    })
    onTestFinished(() => projections.close())
    projections.projector.start()
    return projections
  }
  return { database, node }
}

test('of the statuses of `any`, the first 1,000 in log order are counted by name and the rest as other, however batches are cut', async () => {
  const journal = await anyJournal()
  const rows = []
  for (const [batchEventsMax, recognises] of [
    [7, false],
    [1_000, false],
    [1_000, true],
  ] as const) {
    const { database, node } = await start(journal, batchEventsMax)
    const projections = node(recognises ? (id) => journal.states.get(id) : undefined)
    expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)
    const { value } = await projections.readModel.stats()
    const main = value.pipelines.any?.tracks.main ?? {}
    expect(Object.keys(main)).toHaveLength(namedMax - 300 + 2)
    expect(main).toMatchObject({ 'through 299': 1, 'free 0': 1, 'free 699': 1, other: 300 })
    expect(main['free 700']).toBeUndefined()
    rows.push(await allRows(database.admin))
    if (rows.length === 1) {
      await projections.projector.rebuild()
      rows.push(await allRows(database.admin))
    }
  }
  for (const others of rows.slice(1)) expect(others).toEqual(rows[0])
})

test('another projector knows which statuses are counted by name; lists find the others, and the audit holds', async () => {
  const journal = await anyJournal()
  const { database, node } = await start(journal, 1_000)
  const before = node()
  expect(await before.readModel.waitFor(journal.position, patienceMs)).toBe(true)
  await before.close()
  await journal.submit('op-through', { type: 'ReportStatus', service: 's', status: 'late', pipeline: 'any' })
  await journal.submit('op-0', { type: 'ReportStatus', service: 's', status: 'other', pipeline: 'any' })
  await journal.submit('op-1', { type: 'ReportStatus', service: 's', status: 'through 5', pipeline: 'any' })
  const projections = node()
  const { readModel } = projections
  expect(await readModel.waitFor(journal.position, patienceMs)).toBe(true)
  const main = (await readModel.stats()).value.pipelines.any?.tracks.main ?? {}
  expect(main).toMatchObject({ 'through 5': 1, other: 302 })
  const listed = async (asked: { status: string | string[]; track?: string; pipeline?: string }) => {
    const { value } = await readModel.operations({ ...asked, sort: 'id', pageSize: 10 })
    return value.map(({ id }) => id)
  }
  expect(await listed({ status: 'late' })).toEqual(['op-through'])
  expect(await listed({ status: 'other', track: 'main' })).toEqual(['op-0'])
  expect(await listed({ status: ['through 5', 'free 999', 'never'], pipeline: 'any' })).toEqual(['op-1', 'op-999'])
  expect(await listed({ status: 'never' })).toEqual([])
  for (const sort of ['-updatedAt', '-openedAt', 'since'] as const) {
    const { value } = await readModel.operations({ status: 'free 900', sort, pageSize: 10 })
    expect(value.map(({ id }) => id)).toEqual(['op-900'])
  }

  // Pages of named statuses and others together, with and without a filter beside.
  const statuses = ['free 1', 'free 2', 'late', 'free 800', 'free 801', 'through 5', 'free 810', 'never']
  for (const sort of ['-updatedAt', 'updatedAt', '-openedAt', 'since', 'id'] as const) {
    for (const filter of [
      {},
      { pipeline: 'any', track: 'main' },
      { idPrefix: 'op-8', state: 'active' },
      { metadata: { a: 'b' } },
    ]) {
      const asked: OperationQuery = { status: statuses, sort, pageSize: 2, ...filter }
      const paged: string[] = []
      for (let query = asked; ; ) {
        const { value } = await readModel.operations(query)
        if (value.length === 0) break
        paged.push(...value.map(({ id }) => id))
        query = { ...asked, after: placeOf(query, journal.states.get(paged.at(-1) ?? '') ?? expect.unreachable()) }
      }
      const expected = expectedIds([...journal.states.values()], { ...asked, pageSize: 100 })
      expect(paged, JSON.stringify({ sort, filter })).toEqual(expected)
    }
  }
  // Rows of an older fold, of which no facet tells the status, until a rebuild has taken their place.
  const asBefore = 'UPDATE operations SET facets = NULL WHERE facets IS NOT NULL'
  await database.admin.query(`${asBefore}; UPDATE checkpoints SET fold_version = ${foldVersion - 1}`)
  expect(await listed({ status: ['late', 'through 5'] })).toEqual(['op-1', 'op-through'])
  await database.admin.query(`UPDATE checkpoints SET fold_version = ${foldVersion}`)
  expect(await listed({ status: ['late', 'through 5'] })).toEqual(['op-1'])
  await projections.projector.rebuild()
  expect(await listed({ status: ['late', 'through 5'] })).toEqual(['op-1', 'op-through'])

  const { connectionString, role } = database
  const rows = createAuditRows({ connectionString, role, logId: journal.log.logId })
  onTestFinished(() => rows.close())
  const verdict = (id: string) =>
    audit({ log: journal.log, rows }, { of: 'operation', id }, new AbortController().signal)
  expect(await verdict('op-900')).toEqual({ kind: 'same' })
  expect(await verdict('op-5')).toEqual({ kind: 'same' })
  // A row that says of a status with a name that it is one of the others.
  await database.admin.query(
    `UPDATE operations SET shape = (SELECT shape FROM operations WHERE id = 'op-900') WHERE id = 'op-5'`,
  )
  expect(await verdict('op-5')).toMatchObject({ kind: 'drift' })
})
