import { expect, onTestFinished, test } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { createProjections } from '../../src/projections/projections.ts'
import { patienceMs } from '../support/patience.ts'
import { Journal } from './support/journal.ts'
import { invoice, linear } from './support/pipelines.ts'
import { createReadModelDatabase } from './support/readModelDatabase.ts'

test('of each status, the active operation that has been in it the longest; ended ones do not count', async () => {
  const database = await createReadModelDatabase()
  onTestFinished(() => database.drop())
  const journal = new Journal(createMemoryEventLog())
  await journal.define('invoice', invoice)
  await journal.define('linear', linear)
  for (const [index, pipeline] of ['invoice', 'linear', 'linear', 'linear', 'linear', 'invoice', 'any'].entries()) {
    await journal.open(`op-${index}`, { pipeline })
    journal.pass(1_000)
  }
  await journal.report('op-2', 'done')
  await journal.report('op-3', 'status1')
  journal.pass(1_000)
  await journal.report('op-4', 'status1')
  await journal.report('op-0', 'read', { track: 'main' })

  const { connectionString, role } = database
  const projections = createProjections({ connectionString, role, log: journal.log })
  onTestFinished(() => projections.close())
  projections.projector.start()
  expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)

  const expected = new Map<string, number>()
  for (const { pipeline, state, tracks } of journal.states.values()) {
    if (state !== 'active') continue
    for (const [track, { status, since }] of Object.entries(tracks)) {
      if (status === null || since === null) continue
      const key = `${pipeline.name} ${track} ${status}`
      expected.set(key, Math.min(Date.parse(since), expected.get(key) ?? Number.POSITIVE_INFINITY))
    }
  }
  expect(journal.states.get('op-2')?.state).toBe('succeeded')
  expect([...expected.keys()].sort()).toEqual([
    'invoice fraud queued',
    'invoice main new',
    'invoice main read',
    'linear main new',
    'linear main status1',
  ])
  const { value } = await projections.readModel.oldestInStatus()
  const found = new Map(
    value.map(({ pipeline, track, status, sinceAtMs }) => [`${pipeline} ${track} ${status}`, sinceAtMs]),
  )
  expect(found).toEqual(expected)
})
