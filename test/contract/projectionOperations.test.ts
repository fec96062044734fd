import { createProjections } from '../../src/projections/projections.ts'
import { advisoryLock } from '../../src/projections/session.ts'
import type { Journal } from '../projections/support/journal.ts'
import { invoice, linear } from '../projections/support/pipelines.ts'
import { allRows } from '../projections/support/readModelDatabase.ts'
import { projectionContract } from './projectionContract.ts'

projectionContract({
  name: 'operations',
  create: (database, log, settings) =>
    createProjections({
      ...settings,
      log,
      connectionString: database.connectionString,
      role: database.role,
      takeOverIntervalMs: 20,
      windowMs: 1,
    }),
  rows: allRows,
  lateTable: 'shapes',
  advisoryLock,
  write,
})

async function write(journal: Journal): Promise<void> {
  const turn = journal.positions.size
  if (turn === 0) {
    await journal.define('invoice', invoice)
    await journal.define('linear', linear)
  }
  await journal.open(`any-${turn}`, { theme: 'free', data: { turn } })
  await journal.open(`invoice-${turn}`, { pipeline: 'invoice', metadata: { tenant: `t${turn % 3}` } })
  await journal.open(`linear-${turn}`, { pipeline: 'linear', data: { lines: [1, 2, 3] } })
  // Held, and released by the next one.
  await journal.report(`invoice-${turn}`, 'paid', { track: 'main', data: { paid: turn } })
  await journal.report(`invoice-${turn}`, 'read', { track: 'main', metadata: { reader: 'a' } })
  journal.pass(7)
  for (const operation of [...journal.states.keys()].slice(-7)) {
    if (operation.startsWith('linear')) await journal.report(operation, ['status1', 'done'][turn % 2] ?? '')
    else if (operation.startsWith('invoice')) await journal.report(operation, 'passed', { track: 'fraud' })
    else await journal.report(operation, `anything ${turn % 4}`, { data: { [`t${turn}`]: turn } })
  }
}
