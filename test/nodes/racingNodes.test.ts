import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import { bundledService } from './support/bundledService.ts'
import { CheckpointAudit, expectOneWriterAtATime } from './support/checkpointAudit.ts'
import { type NodeProcess, type NodeStarter, nodeStarter } from './support/nodeProcess.ts'
import { projectingNode, projectorDetail } from './support/projectingNode.ts'
import { readThrough, type SentCommand, sendUntilDefinite } from './support/racingClients.ts'
import { type RoundRobinProxy, startRoundRobinProxy } from './support/roundRobinProxy.ts'
import { until } from './support/until.ts'
import { WaybillHttp } from './support/waybillHttp.ts'
import { expectOnce, expectSoundLog, foldAll, positionNumber, readWholeLog, type WholeLog } from './support/wholeLog.ts'

const clientCount = 64
const reportsPerClient = 10
/**
 * Less than a second on an idle machine, and much more on a busy one; without the end of the session that is noticed, it
 * would be minutes.
 */
const takeOverMsMax = 30_000

const linear = { statuses: ['new', 'read', 'checked', 'paid', 'done'], outOfOrder: 'advance' }
const patient = { ...linear, outOfOrder: 'hold' }
const parallel = {
  outOfOrder: 'hold',
  tracks: {
    main: {
      initial: 'new',
      transitions: { new: ['read'], read: ['checked'], checked: ['done'] },
      final: { done: 'succeeded' },
      requires: { done: [{ track: 'fraud', in: ['passed'] }] },
    },
    fraud: {
      initial: 'waiting',
      transitions: { waiting: ['passed'] },
      final: { passed: 'succeeded' },
      startsWhen: { track: 'main', in: ['read'] },
    },
  },
}

/** Few, so that all clients meet on them; `any` goes on for ever, the others come to an end. */
const operations = [
  ...['any-1', 'any-2', 'any-3'].map((id) => ({ id, pipeline: 'any', statuses: ['busy', 'idle'] })),
  ...['linear-1', 'linear-2'].map((id) => ({ id, pipeline: 'linear', statuses: linear.statuses })),
  ...['patient-1', 'patient-2'].map((id) => ({ id, pipeline: 'patient', statuses: patient.statuses })),
  { id: 'parallel-1', pipeline: 'parallel', statuses: ['read', 'checked', 'done', 'passed'] },
]

describe('several nodes on one database', () => {
  let database: TestDatabase
  let starter: NodeStarter
  let proxy: RoundRobinProxy
  let audit: CheckpointAudit

  beforeAll(async () => {
    database = await createMigratedDatabase()
    starter = nodeStarter(await bundledService(), { DATABASE_URL: database.connectionString })
    for (let n = 0; n < 3; n += 1) starter.start()
    await Promise.all(starter.nodes.map((node) => node.ready()))
    audit = await CheckpointAudit.begin(database.connectionString)
    proxy = await startRoundRobinProxy(starter.nodes.map(({ url }) => url))
    const [first] = live()
    for (const [name, definition] of Object.entries({ linear, patient, parallel })) {
      expect((await first?.http.put(`/v1/pipelines/${name}`, definition))?.status).toBe(201)
    }
  })

  afterAll(async () => {
    await proxy?.close()
    await starter?.end()
    await audit?.end()
    await database?.drop({ allowOpen: true })
  })

  const live = (): NodeProcess[] => starter.nodes.filter(({ isRunning }) => isRunning)

  it('keeps every promise while clients race, one node is killed with -9, another joins and all lose the database', async () => {
    const sent: SentCommand[] = []
    const half = (clientCount * reportsPerClient) / 2
    const clients = Array.from({ length: clientCount }, (_, number) => raceAlone(number, sent))
    const events = async () => {
      await until('a third of the reports', patienceMs, () => sent.length >= half / 2)
      await definitionsAreInForceEverywhere()
      await until('half of the reports', patienceMs, () => sent.length >= half)
      const victim = await projectingNode(live())
      const before = (await audit.changes()).at(-1) ?? fail()
      const killedAtMs = Date.now()
      await victim.kill()
      const takenOver = await audit.change(({ epoch, position }) => epoch > before.epoch && position > before.position)
      proxy.remove(victim.url)
      const joined = await starter.start().ready()
      proxy.add(joined.url)
      // As a fail-over or a restart of the server does: every connection of every node ends, whatever is under way on it.
      await audit.client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      )
      return takenOver.atMs - killedAtMs
    }
    const [takeOverMs] = await Promise.all([events(), ...clients])
    expect(takeOverMs).toBeLessThan(takeOverMsMax)
    expect(sent).toHaveLength(clientCount * reportsPerClient)
    await everyPromiseHolds(sent)
  })

  it('has another node project when the one that does is paused and its session ends; awake again, it writes nothing', async () => {
    const paused = await projectingNode(live())
    const [other = fail()] = live().filter((node) => node !== paused)
    const before = (await audit.changes()).at(-1) ?? fail()
    paused.signal('SIGSTOP')
    // As the server does by itself when a machine has gone silent: the process is there, and knows nothing of it.
    const endedAtMs = Date.now()
    await audit.client.query('SELECT pg_terminate_backend($1)', [before.pid])
    const position = await reportThrough(other, 'while-paused-1')
    const takenOver = await audit.change((change) => change.epoch > before.epoch && change.position >= position)
    expect(takenOver.atMs - endedAtMs).toBeLessThan(takeOverMsMax)
    paused.signal('SIGCONT')
    await until('the paused node waits for its turn', patienceMs, async () => {
      return (await projectorDetail(paused)) === 'Another node projects.'
    })
    const last = await reportThrough(paused, 'after-the-pause-1')
    await audit.change((change) => change.position >= last)
    const changes = await audit.changes()
    expectOneWriterAtATime(changes)
    expect(changes.filter(({ number, pid }) => number > before.number && pid === before.pid)).toEqual([])
    await everyNodeShows(await readWholeLog(database.connectionString))
  })

  it('has a paused projecting node that wakes with its session, but after its epoch, write nothing under it', async () => {
    const paused = await projectingNode(live())
    const [other = fail()] = live().filter((node) => node !== paused)
    const before = (await audit.changes()).at(-1) ?? fail()
    paused.signal('SIGSTOP')
    const position = await reportThrough(other, 'while-paused-2')
    // As a node that takes over does first.
    await audit.client.query('UPDATE waybill_read.checkpoints SET epoch = epoch + 1')
    paused.signal('SIGCONT')
    await paused.says(/no longer written by epoch/)
    // It comes back by the same way as any node, under an epoch of its own.
    await audit.change((change) => change.epoch > before.epoch + 1n && change.position >= position)
    const changes = await audit.changes()
    expectOneWriterAtATime(changes)
    expect(changes.filter(({ number, epoch }) => number > before.number && epoch === before.epoch)).toEqual([])
    await everyNodeShows(await readWholeLog(database.connectionString))
  })

  /** The position of a report that was taken. */
  async function reportThrough({ http }: NodeProcess, operation: string): Promise<bigint> {
    const body = { service: 'late', status: 'started', pipeline: 'any' }
    const { body: receipt, text, status } = await http.post(`/v1/operations/${operation}/reports`, body)
    expect(status, text).toBe(201)
    return positionNumber(String(receipt.position))
  }

  async function raceAlone(number: number, sent: SentCommand[]): Promise<void> {
    const http = new WaybillHttp(proxy.url)
    for (let n = 0; n < reportsPerClient; n += 1) {
      const { id, pipeline, statuses } = operations[(number + 3 * n) % operations.length] ?? fail()
      const status = statuses[(number + n) % statuses.length] ?? fail()
      const body = {
        service: `service ${number}`,
        status,
        pipeline,
        data: { [`by${number}`]: n },
        ...(status === 'passed' ? { track: 'fraud' } : {}),
      }
      const command = await sendUntilDefinite(http, id, `key-${number}-${n}`, body)
      sent.push(command)
      const { receipt, answer, key } = command
      // The proxy has gone on: these are other nodes than the one that answered.
      const found = await readThrough(http, `/v1/operations/${id}`)
      if (receipt === null) {
        expect([200, 409], answer.text).toContain(answer.status)
        continue
      }
      expect(found.status, `GET after POST: ${found.text}`).toBe(200)
      if (n % 2 === 0) {
        const again = await sendUntilDefinite(http, id, key, body)
        expect({ status: again.answer.status, text: again.answer.text }).toEqual({
          status: answer.status,
          text: answer.text,
        })
      } else {
        const seen = await readThrough(http, `/v1/operations/${id}?minPosition=${receipt.position}`, {
          prefer: 'wait=20',
        })
        expect(seen.status, seen.text).toBe(200)
        expect(Number(seen.body.revision)).toBeGreaterThanOrEqual(receipt.revision)
        expect(positionNumber(String(seen.headers['waybill-position']))).toBeGreaterThanOrEqual(
          positionNumber(receipt.position),
        )
      }
    }
    http.close()
  }

  /** Each of its versions is defined at another node, and opened with at all of them the moment it is answered. */
  async function definitionsAreInForceEverywhere(): Promise<void> {
    for (const [round, definer] of live().entries()) {
      const defined = await definer.http.put('/v1/pipelines/moving', {
        statuses: ['new', `round-${round}`, 'done'],
        outOfOrder: 'hold',
      })
      expect([200, 201], defined.text).toContain(defined.status)
      const versions = await Promise.all(
        live().map(async ({ http, name }) => {
          const id = `moving-${round}-${name.replace(' ', '-')}`
          const opened = await http.post('/v1/operations', { id, pipeline: 'moving' })
          expect(opened.status, opened.text).toBe(201)
          const { body } = await http.get(`/v1/operations/${id}`)
          return body.pipeline
        }),
      )
      expect(versions).toEqual(live().map(() => ({ name: 'moving', version: defined.body.version })))
    }
  }

  async function everyPromiseHolds(sent: readonly SentCommand[]): Promise<void> {
    const log = await readWholeLog(database.connectionString)
    expectSoundLog(log)
    const receipts = sent.flatMap(({ receipt }) => (receipt === null ? [] : [receipt]))
    expect(receipts.length).toBeGreaterThan(sent.length / 3)
    for (const receipt of receipts) expectOnce(log, receipt)
    for (const { operation, key, receipt } of sent) {
      if (receipt !== null) continue
      const own = log.streams.get(`operation-${operation}`)?.filter((event) => event.key === key)
      expect({ operation, key, own }).toEqual({ operation, key, own: [] })
    }
    await everyNodeShows(log)
    expectOneWriterAtATime(await audit.changes())
  }

  /** What each node answers, from its memory, from the read model and from the log, is the fold of the log. */
  async function everyNodeShows(log: WholeLog): Promise<void> {
    const folded = foldAll(log)
    expect(folded.size).toBeGreaterThan(operations.length)
    for (const { http } of live()) {
      const head = String((await http.get('/v1/stats')).body.head)
      const stats = await http.get(`/v1/stats?minPosition=${head}`, { prefer: 'wait=20' })
      expect(counted(stats.body.pipelines)).toEqual(folded.size)
      expect(stats.body.parked).toBe(0)
      const list = await http.get('/v1/operations?pageSize=1000&sort=id')
      const listed = (list.body.operations as readonly { id: string; position: string }[]).map(withoutPosition)
      expect(new Map(listed.map((row) => [row.id, row]))).toEqual(folded)
      for (const [id, expected] of folded) {
        for (const query of ['', `?minPosition=${head}`, '?consistency=strong']) {
          const { body } = await http.get(`/v1/operations/${id}${query}`)
          expect(withoutPosition(body), `${id}${query}`).toEqual(expected)
          expect(positionNumber(String(body.position))).toBe(log.streams.get(`operation-${id}`)?.at(-1)?.position)
        }
      }
    }
  }
})

function withoutPosition<Row extends object>(row: Row): Omit<Row, 'position'> {
  const { position: _, ...rest } = row as Row & { position?: unknown }
  return rest
}

function counted(pipelines: unknown): number {
  const rows = Object.values(pipelines as Readonly<Record<string, { operations: number }>>)
  return rows.reduce((sum, { operations: count }) => sum + count, 0)
}

function fail(): never {
  throw new Error('none is left')
}
