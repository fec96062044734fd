import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import { createProjections } from '../../src/projections/projections.ts'
import { pageStatement } from '../../src/projections/queries/listQuery.ts'
import type { OperationQuery } from '../../src/projections/readModel.ts'
import { patienceMs } from '../support/patience.ts'
import { eventually } from './support/eventually.ts'
import { Journal } from './support/journal.ts'
import { writeListHistory } from './support/listHistory.ts'
import { expectedIds } from './support/listModel.ts'
import { createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

// Nodes are brought in one after the other: those of before the columns of 0005_standings.sql go on writing rows.

let database: ReadModelDatabase

beforeAll(async () => {
  database = await createReadModelDatabase()
})
afterAll(() => database.drop())

/** As it calls `commit_batch`, as the service's role: one operation opened, or changed. */
async function commitAsBefore(epoch: bigint, from: bigint, to: bigint, changes: boolean): Promise<void> {
  const columns = ['old-1', '7', '1000', '2', String(to), '-', '{"stateVersion":1}', '{}', '{}']
  const [id, shape, updated, revision, position, facets, state, data, metadata] = columns
  const opened = [id, shape, updated, '900', revision, position, '', state, data, metadata]
  const changed = [id, shape, updated, revision, position, facets, state, data, metadata]
  const none = (count: number) => Array.from({ length: count }, () => '')
  const counts = changes ? '[]' : '[{"id":7,"pipeline":"any","state":"active","tracks":{"main":"x"},"operations":1}]'
  const values = [
    'operations',
    epoch,
    from,
    to,
    ...(changes ? none(10) : opened),
    ...(changes ? changed : none(9)),
    counts,
    null,
    null,
  ]
  const { admin } = database
  await admin.query(`SET ROLE ${database.role}`)
  try {
    await admin.query(`SELECT commit_batch(${values.map((_, index) => `$${index + 1}`).join(', ')})`, values)
  } finally {
    await admin.query('RESET ROLE')
  }
}

async function found(query: Partial<OperationQuery>): Promise<(string | null)[]> {
  const { text, values } = pageStatement({ sort: 'since', pageSize: 10, ...query }, 'walk')
  const { rows } = await database.admin.query<{ id: string | null }>(text, [...values])
  return rows.map(({ id }) => id)
}

describe('a node of before the columns that lists ask for', () => {
  it('goes on writing until a newer one projects; then its rows are made anew, and it writes nothing more', async () => {
    const journal = new Journal(createMemoryEventLog())
    await writeListHistory(journal)
    await database.admin.query(
      `UPDATE checkpoints SET log_id = $1, fold_version = ${foldVersion - 1}, position = 1, epoch = 4`,
      [journal.log.logId],
    )
    await commitAsBefore(4n, 1n, 2n, false)
    await commitAsBefore(4n, 2n, 3n, true)
    // Nothing is known of its times: it comes behind all others, and was heard of never.
    expect(await found({})).toEqual(['old-1'])
    expect(await found({ sort: '-updatedAt', heardBefore: '1970-01-01T00:00:01Z' })).toEqual(['old-1'])
    expect(await found({ sinceBefore: '2999-01-01T00:00:00Z' })).toEqual([null])

    const { connectionString, role } = database
    const projections = createProjections({ connectionString, role, log: journal.log })
    try {
      projections.projector.start()
      await eventually('the rows are made anew', () => projections.projector.status().phase === 'live' || undefined)
      await expect(commitAsBefore(4n, 3n, 4n, true)).rejects.toMatchObject({ code: 'WB001' })
      expect(await projections.readModel.waitFor(journal.position, patienceMs)).toBe(true)
      const states = [...journal.states.values()]
      for (const query of [
        {},
        { track: 'fraud' },
        { held: true },
        { blocked: true },
        { anyTrack: 'failed' },
      ] as const) {
        const asked = { sort: 'since', pageSize: 1_000, ...query } as const
        const { value } = await projections.readModel.operations(asked)
        expect(value.map(({ id }) => id)).toEqual(expectedIds(states, asked))
      }
    } finally {
      await projections.close()
    }
  })
})
