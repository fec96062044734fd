import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import { CheckpointAudit } from './support/checkpointAudit.ts'
import type { NodeProcess, NodeStarter } from './support/nodeProcess.ts'
import { projectorDetail } from './support/projectingNode.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'
import { foldAll, readWholeLog } from './support/wholeLog.ts'

const operationCount = 60
const reportCount = 10
/** In the second batch of a rebuild. */
const gatePosition = 300
const gateLock = 4_711

// A new release that folds otherwise finds the rows of the one before, and rebuilds without being asked.
describe('nodes that find rows of an older fold', () => {
  let service: BuiltService
  let database: TestDatabase
  let admin: pg.Client
  let starter: NodeStarter

  beforeAll(async () => {
    service = await bundledService()
  })
  beforeEach(async () => {
    database = await createMigratedDatabase()
    onTestFinished(() => database.drop({ allowOpen: true }))
    admin = new pg.Client({ connectionString: database.connectionString })
    admin.on('error', () => undefined)
    await admin.connect()
    onTestFinished(() => admin.end())
    starter = startedForTest(service, { DATABASE_URL: database.connectionString })
  })

  it('show them until the new ones are there; killed with -9 in the midst, the next one goes on where it was', async () => {
    await leaveOldRows()
    const killed = await starter.start().ready()
    await rebuilding(killed)
    const next = await starter.start().ready()
    for (const { http } of [killed, next]) expect(await listedIds(http)).not.toContain('op-0')
    const { status, text } = await next.http.post('/v1/operations/op-new/reports', report('started'))
    expect(status, text).toBe(201)

    await killed.kill()
    await until('the other takes over', patienceMs, async () => (await projectorDetail(next))?.startsWith('It folds'))
    expect(await listedIds(next.http)).not.toContain('op-0')
    await openGate()
    await until('it follows the log', patienceMs, async () => (await projectorDetail(next)) === 'It follows the log.')
    // From the batch that was committed; the last change is that of the swap.
    const positions = (await shadowChanges()).map(({ position }) => Number(position))
    expect(positions[0]).toBe(0)
    expect(Math.min(...positions.slice(positions.indexOf(250), -1))).toBe(250)
    expect(positions.at(-1)).toBe(0)
    await everythingShown(next)
  })

  it('have one that was paused meanwhile write nothing when it wakes, neither into the old rows nor into the new ones', async () => {
    await leaveOldRows()
    const audit = await CheckpointAudit.begin(database.connectionString)
    onTestFinished(() => audit.end())
    const paused = await starter.start().ready()
    await rebuilding(paused)
    const pids = await sessionsOf('waybill rebuild')
    const [projecting] = await sessionsOf('waybill projector')
    const next = await starter.start().ready()
    paused.signal('SIGSTOP')
    // As the server does by itself when a machine has gone silent. The session of the rebuild stays, with its batch sent.
    await admin.query('SELECT pg_terminate_backend($1)', [projecting])
    await openGate()
    await until(
      'another follows the log',
      patienceMs,
      async () => (await projectorDetail(next)) === 'It follows the log.',
    )
    const before = (await shadowChanges()).at(-1)
    paused.signal('SIGCONT')
    await until(
      'it waits for its turn',
      patienceMs,
      async () => (await projectorDetail(paused)) === 'Another node projects.',
    )
    const { status, text } = await paused.http.post('/v1/operations/op-new/reports', report('started'))
    expect(status, text).toBe(201)
    await everythingShown(next)
    await everythingShown(paused)
    // The rows in use: never back, and not by the one that was paused once another had taken over.
    const changes = await audit.changes()
    for (const [index, { position, epoch }] of changes.entries()) {
      expect(position >= (changes[index - 1]?.position ?? 0n), `position ${position} at ${index}`).toBe(true)
      expect(epoch >= (changes[index - 1]?.epoch ?? 0n), `epoch ${epoch} at ${index}`).toBe(true)
    }
    expect(changes.filter(({ pid }) => pids.includes(pid) || pid === projecting).map(({ pid }) => pid)).toEqual([
      projecting,
    ])
    const later = (await shadowChanges()).filter(({ number }) => number > (before?.number ?? 0))
    expect(later.filter(({ pid }) => pids.includes(pid))).toEqual([])
  })

  /** A log and its rows, one of them gone; from now on, a rebuild stops in its second batch. */
  async function leaveOldRows(): Promise<void> {
    const node = await starter.start().ready()
    for (let round = 0; round < reportCount; round += 1) {
      const operations = Array.from({ length: operationCount }, (_, n) => `/v1/operations/op-${n}/reports`)
      const answers = await Promise.all(operations.map((path) => node.http.post(path, report(`status ${round}`))))
      for (const { status, text } of answers) expect([200, 201], text).toContain(status)
    }
    await until('the rows are there', patienceMs, async () => (await listedIds(node.http)).length === operationCount)
    await everythingShown(node)
    await node.stop()
    await admin.query(`
      DELETE FROM waybill_read.operations WHERE id = 'op-0';
      UPDATE waybill_read.checkpoints SET fold_version = 0;
      CREATE TABLE public.shadow_changes (number integer GENERATED ALWAYS AS IDENTITY, position bigint, pid integer);
      CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        INSERT INTO public.shadow_changes (position, pid) VALUES (new.position, pg_backend_pid());
        IF new.position > ${gatePosition} THEN PERFORM pg_advisory_xact_lock_shared(${gateLock}); END IF;
        RETURN new;
      END $$;
      CREATE TRIGGER gate BEFORE UPDATE ON waybill_shadow.checkpoints FOR EACH ROW EXECUTE FUNCTION public.gate();
      SELECT pg_advisory_lock(${gateLock})`)
  }

  async function openGate(): Promise<void> {
    await admin.query(`SELECT pg_advisory_unlock(${gateLock})`)
  }

  async function rebuilding(node: NodeProcess): Promise<void> {
    await until('it stands at the gate', patienceMs, async () => {
      const { rowCount } = await admin.query(
        "SELECT FROM pg_stat_activity WHERE application_name = 'waybill rebuild' AND wait_event = 'advisory' AND datname = current_database()",
      )
      return rowCount === 1
    })
    expect(await projectorDetail(node)).toBe('It folds the read model anew; reads show it as it was before.')
  }

  async function sessionsOf(application: string): Promise<readonly number[]> {
    const { rows } = await admin.query<{ pid: number }>(
      'SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
      [application],
    )
    return rows.map(({ pid }) => pid)
  }

  interface ShadowChange {
    readonly number: number
    readonly position: string
    readonly pid: number
  }

  async function shadowChanges(): Promise<readonly ShadowChange[]> {
    return (await admin.query<ShadowChange>('SELECT * FROM public.shadow_changes ORDER BY number')).rows
  }

  async function everythingShown(node: NodeProcess): Promise<void> {
    const folded = foldAll(await readWholeLog(database.connectionString))
    await until('all is shown', patienceMs, async () => {
      const { body } = await node.http.get('/v1/operations?sort=id&pageSize=1000')
      const shown = (body.operations as readonly Record<string, unknown>[]).map((operation) => ({
        ...operation,
        position: undefined,
      }))
      const wanted = [...folded].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, state]) => state)
      return JSON.stringify(shown) === JSON.stringify(wanted)
    })
  }
})

function report(status: string) {
  return { service: 'any', pipeline: 'any', status }
}

async function listedIds(http: NodeProcess['http']): Promise<readonly string[]> {
  const { status, body, text } = await http.get('/v1/operations?sort=id&pageSize=1000')
  expect(status, text).toBe(200)
  return (body.operations as readonly { id: string }[]).map(({ id }) => id)
}
