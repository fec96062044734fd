import { expect, onTestFinished, test } from 'vitest'
import { createMemoryEventLog } from '../../../src/eventlog/memory/memoryEventLog.ts'
import { createProjections } from '../../../src/projections/projections.ts'
import { Journal } from '../../projections/support/journal.ts'
import { createReadModelDatabase } from '../../projections/support/readModelDatabase.ts'
import { patienceMs } from '../../support/patience.ts'
import { checkReadModel } from './checkReadModel.ts'
import { Faults, faultText } from './faults.ts'
import { indexLog } from './logIndex.ts'
import { readReadModel } from './readModelRows.ts'

test('rows whose status is counted as other are sound, and only where the log says so', async () => {
  const journal = new Journal(createMemoryEventLog())
  for (let index = 0; index < 1_050; index += 1) {
    await journal.submit(`op-${index % 700}`, {
      type: 'ReportStatus',
      service: 's',
      status: `free ${index}`,
      pipeline: 'any',
    })
  }
  await journal.report('op-699', 'free 3')
  const database = await createReadModelDatabase()
  onTestFinished(() => database.drop())
  const { connectionString, role } = database
  const projections = createProjections({ connectionString, role, log: journal.log, windowMs: 1 })
  onTestFinished(() => projections.close())
  projections.projector.start()
  expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)

  const events = await journal.log.readAll({ after: 0n, maxCount: 10_000 })
  const operations = new Map(
    [...journal.states].map(([id, state]) => [id, { state, position: journal.positions.get(id) ?? 0n }]),
  )
  const faultsOf = async () => {
    const faults = new Faults()
    const log = indexLog({ events, head: journal.position, positionsWithoutGap: true }, faults)
    checkReadModel(await readReadModel(connectionString), log, operations, new Map(), faults)
    return faults.kept.map(faultText)
  }
  expect(await faultsOf()).toEqual([])
  // A status with a name is not one of the others.
  await database.admin.query(
    `UPDATE operations SET shape = (SELECT shape FROM operations WHERE id = 'op-330') WHERE id = 'op-699'`,
  )
  expect((await faultsOf()).join()).toContain('operations op-699 shape')
})
