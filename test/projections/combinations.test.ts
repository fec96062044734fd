// Parallel tracks stand in as many combinations as there are operations: what that costs is bounded.
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { createProjections } from '../../src/projections/projections.ts'
import { statsStatement } from '../../src/projections/queries/statistics.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { createReadModelDatabase } from './support/readModelDatabase.ts'

const statuses = Array.from({ length: 40 }, (_, index) => `status ${index}`)
const track = {
  initial: 'new',
  transitions: { new: statuses, ...Object.fromEntries(statuses.map((one) => [one, ['done']])) },
}
const parallel = {
  outOfOrder: 'advance',
  tracks: { one: { ...track, final: { done: 'succeeded' } }, other: { ...track, final: { done: 'succeeded' } } },
}
const operations = 1_200

async function started(journal: Journal) {
  const database = await createReadModelDatabase()
  onTestFinished(() => database.drop())
  const { connectionString, role } = database
  const projections = createProjections({ connectionString, role, log: journal.log, windowMs: 1 })
  onTestFinished(() => projections.close())
  projections.projector.start()
  const caughtUp = async () => expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)
  const count = async (text: string) => Number((await database.admin.query<{ count: string }>(text)).rows[0]?.count)
  return { database, projections, caughtUp, count }
}

test('counts are added up by the database, and shapes that no operation has any more go', async () => {
  const journal = new Journal(createMemoryEventLog())
  await journal.define('parallel', parallel)
  const { database, projections, caughtUp, count } = await started(journal)
  for (let index = 0; index < operations; index += 1) {
    await journal.open(`op-${index}`, { pipeline: 'parallel' })
    await journal.report(`op-${index}`, `status ${index % 40}`, { track: 'one' })
    await journal.report(`op-${index}`, `status ${Math.floor(index / 40)}`, { track: 'other' })
  }
  await caughtUp()
  expect(await count('SELECT count(*) FROM shapes WHERE operations > 0')).toBeGreaterThanOrEqual(operations)
  const { one, other } = (await projections.readModel.stats()).value.pipelines.parallel?.tracks ?? {}
  expect(one).toEqual(Object.fromEntries(statuses.map((status) => [status, 30])))
  expect(other).toEqual(Object.fromEntries(statuses.slice(0, 30).map((status) => [status, 40])))
  // One by state and one by status: as many as the definition has, however many combinations there are.
  expect((await database.admin.query(statsStatement.text)).rows).toHaveLength(1 + 40 + 30)

  for (let index = 0; index < operations; index += 1) await journal.report(`op-${index}`, 'done', { track: 'one' })
  await caughtUp()
  expect(await count('SELECT count(*) FROM shapes WHERE operations = 0')).toBeLessThan(operations)
  expect(await count('SELECT sum(operations) AS count FROM shapes')).toBe(operations)
  expect((await projections.readModel.stats()).value.pipelines.parallel?.tracks.one).toEqual({ done: operations })
})
