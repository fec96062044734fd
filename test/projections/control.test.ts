import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import type { ProjectorPhase } from '../../src/projections/readModel.ts'
import { patienceMs } from '../support/patience.ts'
import { eventually } from './support/eventually.ts'
import { Journal } from './support/journal.ts'
import { allRows, createReadModelDatabase, type ReadModelDatabase } from './support/readModelDatabase.ts'

let database: ReadModelDatabase
const opened: Projections[] = []

beforeAll(async () => {
  database = await createReadModelDatabase()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((projections) => projections.close()))
  await database.admin.query('UPDATE checkpoints SET paused_at = NULL; DELETE FROM rebuilds')
})
afterAll(() => database.drop())

function node(log: EventLog, { projects = true, takesOrders = true } = {}): Projections {
  const { connectionString, role } = database
  const projections = createProjections({
    connectionString,
    role,
    log,
    windowMs: 1,
    takeOverIntervalMs: 20,
    lookIntervalMs: 20,
  })
  opened.push(projections)
  if (projects) projections.projector.start()
  if (takesOrders) projections.takeOrders()
  return projections
}

function phase({ projector }: Projections, wanted: ProjectorPhase): Promise<true> {
  return eventually(`phase ${wanted}`, () => (projector.status().phase === wanted ? true : undefined))
}

async function caughtUp({ readModel, projector }: Projections, { position }: Journal): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status()))
}

describe('a pause', () => {
  it('fences off the node that projects, though it has not heard of it', async () => {
    const journal = new Journal(createMemoryEventLog())
    const projecting = node(journal.log, { takesOrders: false })
    const other = node(journal.log, { projects: false, takesOrders: false })
    await journal.open('op-1')
    await caughtUp(projecting, journal)
    const { position } = await other.control.pause('somebody')
    expect(projecting.projector.status().paused).toBe(false)
    await journal.open('op-2')
    await phase(projecting, 'paused')
    expect(await other.control.state()).toMatchObject({ position, paused: { by: 'somebody' } })
    expect((await allRows(database.admin)).operations).toHaveLength(1)
    expect(projecting.projector.lagMs()).toBeGreaterThanOrEqual(0)
    await other.control.resume()
    await caughtUp(projecting, journal)
    expect((await allRows(database.admin)).operations).toHaveLength(2)
  })

  it('is kept by whoever takes over, and known to those who wait', async () => {
    const journal = new Journal(createMemoryEventLog())
    const first = node(journal.log)
    await phase(first, 'live')
    const second = node(journal.log)
    await phase(second, 'waiting')
    await second.control.pause('somebody')
    await phase(first, 'paused')
    await eventually('the other hears of it', () => (second.projector.status().paused ? true : undefined))
    await journal.open('op-1')
    await first.close()
    await phase(second, 'paused')
    expect((await second.control.state()).position).toBeLessThan(journal.position)
    await second.control.resume()
    await caughtUp(second, journal)
    expect(second.projector.status()).toMatchObject({ phase: 'live', paused: false })
  })

  it('drops no rows of another log before it is over', async () => {
    const before = new Journal(createMemoryEventLog())
    await before.open('op-1')
    const first = node(before.log)
    await caughtUp(first, before)
    await first.control.pause('somebody')
    await first.close()
    const rows = await allRows(database.admin)
    const after = new Journal(createMemoryEventLog())
    await after.open('op-2')
    const second = node(after.log)
    await phase(second, 'paused')
    expect(await allRows(database.admin)).toEqual(rows)
    await second.control.resume()
    await caughtUp(second, after)
    expect((await allRows(database.admin)).operations).toMatchObject([{ id: 'op-2' }])
  })
})

describe('a rebuild that was asked for', () => {
  /** Reads of the whole log wait until they may go on. */
  function gated(log: EventLog) {
    let open = (): void => undefined
    let reached = (): void => undefined
    const atGate = new Promise<void>((resolve) => {
      reached = resolve
    })
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    return {
      log: {
        ...log,
        async readAll(options: Parameters<EventLog['readAll']>[0]) {
          reached()
          await gate
          return log.readAll(options)
        },
      },
      atGate,
      open,
    }
  }

  it('is done by the node that projects, whichever is asked', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    const projecting = node(journal.log)
    await caughtUp(projecting, journal)
    const other = node(journal.log, { projects: false })
    await database.admin.query('UPDATE operations SET revision = 77')
    const asked = await other.control.askRebuild('somebody')
    expect(asked).toMatchObject({ kind: 'asked', rebuild: { askedBy: 'somebody', attempts: 0 } })
    const { rebuild } = await eventually('it has ended', async () => {
      const state = await other.control.state()
      return state.rebuild?.endedAt == null ? undefined : state
    })
    expect(rebuild).toMatchObject({ outcome: 'done', attempts: 1, problem: null })
    expect((await allRows(database.admin)).operations).toMatchObject([{ id: 'op-1', revision: 0n }])
  })

  it('is begun anew by the next node when the one that did it has stopped, and that counts as no failure', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.open('op-1')
    const slow = gated(journal.log)
    const first = node(slow.log)
    await caughtUp(first, journal)
    const second = node(journal.log)
    await second.control.askRebuild('somebody')
    await slow.atGate
    expect(await second.control.askRebuild('another')).toMatchObject({ kind: 'under_way', rebuild: { attempts: 1 } })
    const closing = first.close()
    slow.open()
    await closing
    const rebuild = await eventually('it has ended', async () => {
      const { rebuild: last } = await second.control.state()
      return last?.endedAt == null ? undefined : last
    })
    expect(rebuild).toMatchObject({ outcome: 'done', attempts: 1, askedBy: 'somebody' })
  })

  it('is known for a while after its end, and then forgotten', async () => {
    const journal = new Journal(createMemoryEventLog())
    const { control } = node(journal.log, { projects: false, takesOrders: false })
    const ids: string[] = []
    for (let index = 0; index < 102; index += 1) {
      const asked = await control.askRebuild('somebody')
      if (asked.kind !== 'asked') throw new Error(asked.kind)
      ids.push(asked.rebuild.id)
      await database.admin.query("UPDATE rebuilds SET ended_at = now(), outcome = 'done' WHERE ended_at IS NULL")
    }
    expect(await control.rebuild(ids[0] ?? '')).toBeNull()
    expect(await control.rebuild(ids[101] ?? '')).toMatchObject({ outcome: 'done' })
  })
})
