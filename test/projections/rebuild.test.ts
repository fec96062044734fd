import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { dumpStructure } from '../../scripts/sqlDump.mjs'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import type { RebuildProgress } from '../../src/projections/readModel.ts'
import { eventually } from './support/eventually.ts'
import { gatedLog } from './support/gatedLog.ts'
import { truncatedLog } from './support/logs.ts'
import { allRows } from './support/readModelDatabase.ts'
import { caughtUp, phase, rebuildBench, someHistory } from './support/rebuildBench.ts'

const bench = rebuildBench()
const { node, start, shadowTables, shadowPosition, terminate } = bench

async function structure(): Promise<string> {
  const text = await dumpStructure(bench.database.admin)
  await bench.database.admin.query('SET search_path TO waybill_read')
  return text
}

describe('a rebuild', () => {
  it('makes the same rows, in tables of the same form, with the same indexes, settings and rights', async () => {
    const journal = await someHistory()
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)
    await bench.database.admin.query('GRANT SELECT ON operations TO PUBLIC')
    const before = { rows: await allRows(bench.database.admin), structure: await structure() }
    await bench.database.admin.query(
      "UPDATE operations SET state = '', shape = 1; DELETE FROM shapes; DELETE FROM parked",
    )
    await projections.projector.rebuild()
    expect({ rows: await allRows(bench.database.admin), structure: await structure() }).toEqual(before)
    expect(await shadowTables()).toEqual(['checkpoints'])
    expect(projections.projector.status()).toMatchObject({ phase: 'live', rebuild: null })
    // And once more, from the tables that were the shadow.
    await projections.projector.rebuild()
    expect({ rows: await allRows(bench.database.admin), structure: await structure() }).toEqual(before)
  })

  it('goes on beside the projection: nobody waits, and what comes meanwhile is in both', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log)
    await caughtUp(projections, journal.position)
    const progress: RebuildProgress[] = []
    const rebuilt = projections.projector.rebuild({ onProgress: (told) => progress.push(told) })
    await gate.reached
    expect(projections.projector.status()).toMatchObject({
      phase: 'live',
      rebuild: { stage: 'folding', head: journal.position },
    })
    for (let index = 4; index < 25; index += 1) {
      await journal.report(`op-${index}`, 'paid', { track: 'main' })
      await caughtUp(projections, journal.position)
    }
    await journal.open('op-new')
    await caughtUp(projections, journal.position)
    expect((await projections.readModel.operation('op-new')).value).toMatchObject({ revision: 0n })
    const rows = await allRows(bench.database.admin)
    gate.open()
    await rebuilt
    expect(await allRows(bench.database.admin)).toEqual(rows)
    expect(progress.map(({ done }) => done)).toEqual(progress.map(({ done }) => done).sort((a, b) => Number(a - b)))
    expect([...new Set(progress.map(({ stage: at }) => at))]).toEqual(['folding', 'indexing', 'swapping'])
    expect(progress.at(-1)).toMatchObject({ done: journal.position, head: journal.position })
    await journal.report('op-new', 'seen')
    await caughtUp(projections, journal.position)
    expect((await projections.readModel.operation('op-new')).value).toMatchObject({ revision: 1n })
  })

  it('is joined by who asks for one meanwhile, and made once', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log)
    await caughtUp(projections, journal.position)
    const first = projections.projector.rebuild()
    await gate.reached
    const second = projections.projector.rebuild()
    gate.open()
    await Promise.all([first, second])
    expect(gate.reads.filter((after) => after === 0n)).toHaveLength(1)
    await projections.projector.rebuild()
    expect(gate.reads.filter((after) => after === 0n)).toHaveLength(2)
  })

  it('is abandoned when its caller says so: nothing of it is left, and another can be made', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log)
    await caughtUp(projections, journal.position)
    const rows = await allRows(bench.database.admin)
    const cancel = new AbortController()
    const abandoned = projections.projector.rebuild({ signal: cancel.signal })
    await gate.reached
    expect(await shadowTables()).toContain('operations')
    cancel.abort()
    await expect(abandoned).rejects.toThrow('abandoned')
    gate.open()
    await eventually('nothing is left', async () => ((await shadowTables()).length === 1 ? true : undefined))
    expect(await allRows(bench.database.admin)).toEqual(rows)
    await eventually('it has ended', () => (projections.projector.status().rebuild === null ? true : undefined))
    await projections.projector.rebuild()
    expect(await allRows(bench.database.admin)).toEqual(rows)
  })

  it('is refused by a node that does not project', async () => {
    const journal = await someHistory()
    const projecting = start(journal.log)
    await caughtUp(projecting, journal.position)
    const waiting = start(journal.log)
    await phase(waiting, 'waiting')
    await expect(waiting.projector.rebuild()).rejects.toThrow('no rebuild by a projector that is waiting')
  })

  it('ends, with the rows as they were, at an event of a newer schema', async () => {
    const journal = await someHistory()
    const before = journal.position
    const future = { id: crypto.randomUUID(), type: 'FromTheFuture', data: '{}', metadata: '{"schemaVersion":99}' }
    await journal.append([{ stream: 'operation-later', expectedRevision: 'noStream', events: [future] }])
    // The projection itself has not come to it yet.
    const ended = truncatedLog(journal.log, before)
    const projections = start({ ...journal.log, subscribe: (options) => ended.subscribe(options) })
    await caughtUp(projections, before)
    const rows = await allRows(bench.database.admin)
    await expect(projections.projector.rebuild()).rejects.toThrow(/schema/)
    expect(await allRows(bench.database.admin)).toEqual(rows)
    expect(await shadowTables()).toEqual(['checkpoints'])
    expect(projections.projector.status()).toMatchObject({ phase: 'live', rebuild: null })
  })

  it('is not begun while a view shows one of the tables', async () => {
    const journal = await someHistory()
    const projections = start(journal.log)
    await caughtUp(projections, journal.position)
    await bench.database.admin.query('CREATE VIEW public.report AS SELECT id FROM operations')
    await expect(projections.projector.rebuild()).rejects.toThrow(/view public.report stands in the way/)
    await bench.database.admin.query('DROP VIEW public.report')
    await projections.projector.rebuild()
  })

  it('begins anew when the tables are migrated meanwhile', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log)
    await caughtUp(projections, journal.position)
    const rebuilt = projections.projector.rebuild()
    await gate.reached
    await bench.database.admin.query(`
      INSERT INTO waybill.migrations (room, number, name, checksum, service_role) VALUES ('projections', 99, 'later', '', true);
      ALTER TABLE operations ADD COLUMN later integer DEFAULT 7`)
    gate.open()
    await rebuilt
    const { rows } = await bench.database.admin.query('SELECT DISTINCT later FROM operations')
    expect(rows).toEqual([{ later: 7 }])
    expect(gate.reads.filter((after) => after === 0n)).toHaveLength(2)
  })
})

describe('a rebuild that is broken off', () => {
  it('goes on where it was when only its connection is lost', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log, { rebuildBatchEventsMax: 30 })
    await caughtUp(projections, journal.position)
    const rows = await allRows(bench.database.admin)
    const rebuilt = projections.projector.rebuild()
    await gate.reached
    await eventually('a part is committed', async () => ((await shadowPosition()) > 0n ? true : undefined))
    await terminate('waybill rebuild')
    gate.open()
    await rebuilt
    expect(gate.reads.filter((after) => after === 0n)).toHaveLength(1)
    expect(await allRows(bench.database.admin)).toEqual(rows)
  })

  it('goes on when the session that projects is lost and found again, and its caller is answered', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log, { rebuildBatchEventsMax: 30 })
    await caughtUp(projections, journal.position)
    const rows = await allRows(bench.database.admin)
    const rebuilt = projections.projector.rebuild()
    await gate.reached
    await eventually('a part is committed', async () => ((await shadowPosition()) > 0n ? true : undefined))
    await terminate('waybill projector')
    await eventually('another session', async () => {
      const { rowCount } = await bench.database.admin.query('SELECT FROM checkpoints WHERE epoch = 2')
      return rowCount === 1 ? true : undefined
    })
    gate.open()
    await rebuilt
    expect(gate.reads.filter((after) => after === 0n)).toHaveLength(1)
    expect(await allRows(bench.database.admin)).toEqual(rows)
  })

  it('is gone on with by the node that projects next, without being asked; the old rows serve until then', async () => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const first = start(gate.log, { rebuildBatchEventsMax: 30 })
    await caughtUp(first, journal.position)
    const rows = await allRows(bench.database.admin)
    const rebuilt = first.projector.rebuild()
    const refused = expect(rebuilt).rejects.toThrow('the projector has stopped')
    await gate.reached
    await eventually('a part is committed', async () => ((await shadowPosition()) > 0n ? true : undefined))
    await first.close()
    await refused
    const from = await shadowPosition()

    const next = gatedLog(journal.log, journal.position)
    const second = start(next.log)
    await caughtUp(second, journal.position)
    await next.reached
    expect(await allRows(bench.database.admin)).toEqual(rows)
    await bench.database.admin.query('UPDATE operations SET revision = 77')
    next.open()
    // Should a commit of the first one land late, the second begins anew: that its tables are gone is not the end.
    const isDone = async () => isDeepStrictEqual(await allRows(bench.database.admin), rows)
    await eventually('the new rows are there', async () => ((await isDone()) ? true : undefined))
    await eventually('nothing is left', async () => ((await shadowTables()).length === 1 ? true : undefined))
    // A commit that was under way when the first one closed may have landed since.
    expect(next.reads[0]).toBeGreaterThanOrEqual(from)
    expect(await allRows(bench.database.admin)).toEqual(rows)
  })

  it.each([
    ['another log', "log_id = 'another'", false],
    ['an older fold', `fold_version = ${foldVersion - 1}`, false],
    // A newer node goes on with it, or drops it.
    ['a newer fold', `fold_version = ${foldVersion + 1}`, true],
  ])('leaves tables that the next one drops, unless it has no use for them: of %s', async (_, change, kept) => {
    const journal = await someHistory()
    const gate = gatedLog(journal.log, 30n)
    const first = start(gate.log, { rebuildBatchEventsMax: 30 })
    await caughtUp(first, journal.position)
    const refused = expect(first.projector.rebuild()).rejects.toThrow('the projector has stopped')
    await gate.reached
    await first.close()
    await refused
    await bench.database.admin.query(`UPDATE waybill_shadow.checkpoints SET ${change}`)
    const second = start(journal.log)
    await caughtUp(second, journal.position)
    await journal.open('op-later')
    await caughtUp(second, journal.position)
    await second.close()
    expect((await shadowTables()).length === 1).toBe(!kept)
    expect((await allRows(bench.database.admin)).operations).toHaveLength(30)
  })
})

describe('rows of an older fold', () => {
  it('are read as they are, with their position, while the new ones are folded; then those are', async () => {
    const journal = await someHistory()
    const before = start(journal.log)
    await caughtUp(before, journal.position)
    await before.close()
    const position = journal.position
    await bench.database.admin.query(
      `UPDATE operations SET revision = 77; UPDATE checkpoints SET fold_version = ${foldVersion - 1}`,
    )
    await journal.open('op-new')

    const gate = gatedLog(journal.log, 30n)
    const projections = start(gate.log, { rebuildBatchEventsMax: 30 })
    await gate.reached
    await phase(projections, 'rebuilding')
    const reading = node(journal.log)
    for (const { readModel } of [projections, reading]) {
      const listed = await readModel.operations({ sort: 'id', pageSize: 100 })
      expect(listed.position).toBe(position)
      expect(listed.value).toHaveLength(29)
      expect(new Set(listed.value.map(({ revision }) => revision))).toEqual(new Set([77n]))
      expect(await readModel.waitFor(journal.position, 50)).toBe(false)
    }
    expect(projections.projector.lagMs()).toBeGreaterThanOrEqual(0)
    const joined = projections.projector.rebuild()
    gate.open()
    await joined
    await caughtUp(projections, journal.position)
    await caughtUp(reading, journal.position)
    const listed = await reading.readModel.operations({ sort: 'id', pageSize: 100 })
    expect(listed.value.map(({ id, revision }) => [id, revision])).toContainEqual(['op-new', 0n])
    expect(listed.value.map(({ revision }) => revision)).not.toContain(77n)
    // The rows change places a moment before the projector says so.
    await phase(projections, 'live')
    expect(projections.projector.status()).toMatchObject({ phase: 'live', rebuild: null })
    const { rows } = await bench.database.admin.query('SELECT fold_version FROM checkpoints')
    expect(rows).toEqual([{ fold_version: foldVersion }])
  })

  it('stay when an event of a newer schema is met, and the node lets a newer one project', async () => {
    const journal = await someHistory()
    const before = start(journal.log)
    await caughtUp(before, journal.position)
    await before.close()
    await bench.database.admin.query(`UPDATE checkpoints SET fold_version = ${foldVersion - 1}`)
    const rows = await allRows(bench.database.admin)
    const future = { id: crypto.randomUUID(), type: 'FromTheFuture', data: '{}', metadata: '{"schemaVersion":99}' }
    await journal.append([{ stream: 'operation-later', expectedRevision: 'noStream', events: [future] }])
    const projections = start(journal.log)
    await phase(projections, 'newer_schema')
    expect(await allRows(bench.database.admin)).toEqual(rows)
    const { rows: locks } = await bench.database.admin.query(
      "SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    expect(locks).toEqual([])
  })
})
