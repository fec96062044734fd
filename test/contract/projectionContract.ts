import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { Projections } from '../../src/projections/projections.ts'
import { eventually } from '../projections/support/eventually.ts'
import { Journal } from '../projections/support/journal.ts'
import { stutteringLog } from '../projections/support/logs.ts'
import { createReadModelDatabase, type ReadModelDatabase } from '../projections/support/readModelDatabase.ts'
import { patienceMs } from '../support/patience.ts'

export interface ProjectionUnderTest {
  readonly name: string
  /** Not started. `batchEventsMax` and the like are the suite's to choose. */
  create(database: ReadModelDatabase, log: EventLog, settings: { readonly batchEventsMax?: number }): Projections
  /** Everything that it wrote but its checkpoint, in a fixed order. */
  rows(admin: pg.Client): Promise<unknown>
  /** Appends some more history that leaves traces in the rows; called again and again. */
  write(journal: Journal): Promise<void>
  /** A table that each batch writes after the checkpoint was moved. */
  readonly lateTable: string
  /** Held by the one that projects. */
  readonly advisoryLock: bigint
}

/** What every projection must hold. A new projection runs this suite. */
export function projectionContract(projection: ProjectionUnderTest): void {
  describe(`projection ${projection.name}`, () => {
    let database: ReadModelDatabase
    const open: Projections[] = []

    beforeAll(async () => {
      database = await createReadModelDatabase()
    })
    afterEach(async () => {
      await Promise.all(open.splice(0).map((projections) => projections.close()))
    })
    afterAll(() => database.drop())

    function start(log: EventLog, settings: { readonly batchEventsMax?: number } = {}): Projections {
      const projections = projection.create(database, log, settings)
      open.push(projections)
      projections.projector.start()
      return projections
    }

    async function history(times = 5): Promise<Journal> {
      const journal = new Journal(createMemoryEventLog())
      for (let time = 0; time < times; time += 1) await projection.write(journal)
      return journal
    }

    async function caughtUp({ readModel, projector }: Projections, journal: Journal): Promise<void> {
      if (!(await readModel.waitFor(journal.position, patienceMs)))
        throw new Error(JSON.stringify(projector.status().phase))
    }

    async function checkpoint(): Promise<bigint> {
      const { rows } = await database.admin.query<{ position: bigint }>('SELECT position FROM checkpoints')
      return rows[0]?.position ?? -1n
    }

    /** The projector's backend, once it waits for a lock. */
    function blockedBackend(): Promise<number> {
      return eventually('the projector waits for a lock', async () => {
        const { rows } = await database.admin.query<{ pid: number }>(
          `SELECT pid FROM pg_stat_activity
           WHERE application_name = 'waybill projector' AND datname = current_database() AND wait_event_type = 'Lock'`,
        )
        return rows[0]?.pid
      })
    }

    it('makes the same rows whether it folds event by event, in batches, or anew from the beginning', async () => {
      const journal = await history()
      const single = start(journal.log, { batchEventsMax: 1 })
      await caughtUp(single, journal)
      const incremental = await projection.rows(database.admin)
      await single.projector.rebuild()
      expect(await projection.rows(database.admin)).toEqual(incremental)
      await single.close()

      await database.admin.query("UPDATE checkpoints SET log_id = 'another'")
      const batched = start(journal.log, { batchEventsMax: 7 })
      await caughtUp(batched, journal)
      expect(await projection.rows(database.admin)).toEqual(incremental)
      expect(await checkpoint()).toBe(journal.position)
    })

    it('goes on where it stopped', async () => {
      const journal = await history(2)
      const first = start(journal.log)
      await caughtUp(first, journal)
      await first.close()
      await projection.write(journal)
      const second = start(journal.log)
      await caughtUp(second, journal)
      const rows = await projection.rows(database.admin)
      await second.projector.rebuild()
      expect(await projection.rows(database.admin)).toEqual(rows)
      expect(second.projector.status().eventsFolded).toBeLessThan(Number(journal.position))
    })

    it('changes nothing when events are delivered again', async () => {
      const journal = await history()
      const plain = start(journal.log)
      await caughtUp(plain, journal)
      const rows = await projection.rows(database.admin)
      await plain.close()

      await database.admin.query("UPDATE checkpoints SET log_id = 'another'")
      const again = start(stutteringLog(journal.log), { batchEventsMax: 5 })
      await caughtUp(again, journal)
      await again.close()
      const onceMore = start(stutteringLog(journal.log))
      await caughtUp(onceMore, journal)
      expect(await projection.rows(database.admin)).toEqual(rows)
      expect((await onceMore.readModel.stats()).value.parked).toBe(0)
    })

    it('leaves rows and checkpoint as they were when it dies between the two', async () => {
      const journal = await history(2)
      const projections = start(journal.log)
      await caughtUp(projections, journal)
      const before = { rows: await projection.rows(database.admin), checkpoint: await checkpoint() }

      // The checkpoint is moved by then, and the rows are not all written.
      await database.withTableLocked(projection.lateTable, async () => {
        await projection.write(journal)
        const backend = await blockedBackend()
        await database.admin.query('SELECT pg_terminate_backend($1)', [backend])
        await eventually('the projector is gone', async () => {
          const { rowCount } = await database.admin.query('SELECT FROM pg_stat_activity WHERE pid = $1', [backend])
          return rowCount === 0 ? true : undefined
        })
        expect({ rows: await projection.rows(database.admin), checkpoint: await checkpoint() }).toEqual(before)
      })

      // It comes back by itself and writes the batch then.
      await caughtUp(projections, journal)
      const after = await projection.rows(database.admin)
      expect(after).not.toEqual(before.rows)
      await projections.projector.rebuild()
      expect(await projection.rows(database.admin)).toEqual(after)
    })

    it('writes nothing once another has taken over, and goes on when it may again', async () => {
      const journal = await history(1)
      const old = start(journal.log)
      await caughtUp(old, journal)
      // Another node's take-over that this one does not notice: as if it had lost its lock.
      await database.admin.query('UPDATE checkpoints SET epoch = epoch + 1')
      const before = { rows: await projection.rows(database.admin), checkpoint: await checkpoint() }
      // First in the queue for the lock: the old owner, once it has let go, cannot come back before it may.
      await database.withAdvisoryLock(
        projection.advisoryLock,
        () => projection.write(journal),
        async () => {
          await eventually('the old owner waits', () => (old.projector.status().phase === 'waiting' ? true : undefined))
          expect({ rows: await projection.rows(database.admin), checkpoint: await checkpoint() }).toEqual(before)
        },
      )
      await caughtUp(old, journal)
    })

    it('is run by one of two nodes, and taken over when that one dies', async () => {
      const journal = await history(1)
      const first = start(journal.log)
      await caughtUp(first, journal)
      const second = start(journal.log)
      await eventually('the second waits', () => (second.projector.status().phase === 'waiting' ? true : undefined))
      await projection.write(journal)
      await caughtUp(first, journal)
      // The second sees what the first has committed.
      await caughtUp(second, journal)
      await first.close()
      await projection.write(journal)
      await caughtUp(second, journal)
      expect(second.projector.status().phase).toBe('live')
      const rows = await projection.rows(database.admin)
      await second.projector.rebuild()
      expect(await projection.rows(database.admin)).toEqual(rows)
    })

    it('drops its rows and folds anew when the log is another one', async () => {
      const before = await history(3)
      const first = start(before.log)
      await caughtUp(first, before)
      const rowsOfBefore = await projection.rows(database.admin)
      await first.close()

      const other = await history(1)
      const second = start(other.log)
      await caughtUp(second, other)
      const rows = await projection.rows(database.admin)
      expect(rows).not.toEqual(rowsOfBefore)
      expect(await checkpoint()).toBe(other.position)
      await second.projector.rebuild()
      expect(await projection.rows(database.admin)).toEqual(rows)
    })
  })
}
