import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { operationBody } from '../../src/operation/view.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import { Journal } from './support/journal.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

describe('projector', () => {
  it('folds a report into the row that is read', async () => {
    const database = await createReadModelDatabase()
    const journal = new Journal(createMemoryEventLog())
    const projections = createProjections({
      ...database,
      log: journal.log,
      logger: { info: console.log, warn: console.log, error: console.log },
    })
    projections.projector.start()
    await journal.open('op-1', { data: { a: 1 }, metadata: { tenant: 'x' }, theme: 't' })
    await journal.report('op-1', 'seen', { data: { b: 2 } })
    expect(await projections.readModel.waitFor(journal.position, 5_000)).toBe(true)
    const { value, position } = await projections.readModel.operation('op-1')
    expect(position).toBe(journal.position)
    expect(value?.body).toBe(operationBody(journal.states.get('op-1')!))
    expect((await projections.readModel.operations({ sort: '-updatedAt', pageSize: 10 })).value).toEqual([value])
    console.log(await projections.readModel.stats())
    await projections.close()
    await database.drop()
  })
})
