import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { defaultApiLimits } from '../../src/api/limits.ts'
import { OperationWaits } from '../../src/api/live/operationWaits.ts'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { requestHash } from '../../src/operation/requestHash.ts'
import { rawConnection } from '../api/rawHttp.ts'
import { eventually } from '../projections/support/eventually.ts'
import { patienceMs } from '../support/patience.ts'
import { type LiveHarness, startLive } from './liveHarness.ts'

/** Each on a connection of its own. `node bench/waits.mjs` does it with 10,000, from outside the service's process. */
const crowd = 2_000
/** No more at once than a listening socket's backlog takes. */
const wave = 250
let live: LiveHarness

beforeAll(async () => {
  live = await startLive({ limits: { waitsMax: crowd } })
})

afterAll(() => live.close())

const ask = (id: string, query: string, headers: Record<string, string> = {}) =>
  live.send('GET', `/v1/operations/${id}?${query}`, undefined, headers)

/** Settles with the answer's first bytes: its head and more. */
const waitByHand = (id: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: live.port, host: '127.0.0.1' })
    socket.on('error', reject)
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1'))
      socket.destroy()
    })
    const head = `GET /v1/operations/${id}?until=changed HTTP/1.1\r\nHost: localhost\r\n`
    socket.write(`${head}Prefer: wait=60\r\nIf-None-Match: "1"\r\n\r\n`)
  })

const waiting = (count: number) =>
  eventually(`${count} waits`, async () => {
    const { text } = await live.send('GET', '/metrics')
    return text.includes(`waybill_operation_waits ${count}\n`) ? true : undefined
  })

describe('GET /v1/operations/{id}?until=', () => {
  test('changed: answers with the next change, at least up to it', async () => {
    await live.report('w1', 'one')
    // Counted before it has looked at the operation: the revision it knows is said, so that the report is no race.
    const answer = ask('w1', 'until=changed', { 'if-none-match': '"1"', prefer: 'wait=60' })
    await waiting(1)
    await live.report('w1', 'two')
    const { status, body, headers } = await answer
    expect(status).toBe(200)
    expect(body.revision).toBe(2)
    expect(headers.etag).toBe('"2"')
    expect(headers['waybill-position']).toBe(body.position)
  })

  test('changed: goes on waiting while all that comes is ignored and fills nothing', async () => {
    const started = { service: 's', status: 'a', pipeline: 'waited' }
    await live.send('PUT', '/v1/pipelines/waited', { statuses: ['new', 'a', 'b'], outOfOrder: 'advance' })
    const report = (more: object) => live.send('POST', '/v1/operations/w9/reports', { ...started, ...more })
    await report({})
    const answer = ask('w9', 'until=changed', { 'if-none-match': '"1"', prefer: 'wait=30' })
    await waiting(1)
    for (const more of [{}, { status: 'new' }, {}]) expect((await report(more)).body.outcome).toBe('ignored')
    await report({ status: 'new', data: { late: 1 } })
    expect((await answer).body).toMatchObject({ revision: 5, data: { late: 1 } })
  })

  test('changed since If-None-Match: at once if it has, 304 when the time runs out', async () => {
    await live.report('w2', 'one')
    expect((await ask('w2', 'until=changed', { 'if-none-match': '"0"', prefer: 'wait=60' })).body.revision).toBe(1)
    const answer = await ask('w2', 'until=changed', { 'if-none-match': '"1"', prefer: 'wait=0' })
    expect(answer.status).toBe(304)
    const begun = performance.now()
    const late = await ask('w2', 'until=changed', { 'if-none-match': '"1"', prefer: 'wait=1' })
    expect(late.status).toBe(304)
    expect(performance.now() - begun).toBeGreaterThan(900)
  })

  test('changed since the newest of several revisions, weakened or not', async () => {
    await live.report('w6', 'one')
    await live.report('w6', 'two')
    const known = (tags: string) => ask('w6', 'until=changed', { 'if-none-match': tags, prefer: 'wait=0' })
    expect((await known('"0", W/"1"')).body.revision).toBe(2)
    expect((await known('"2", W/"1"')).status).toBe(304)
  })

  test('done: passes over other changes; at once when it is over; as it is when the time is up', async () => {
    await live.report('w3', 'one')
    const answer = ask('w3', 'until=done', { prefer: 'wait=60' })
    await waiting(1)
    await live.report('w3', 'two')
    await live.report('w3', 'three', { final: 'failed' })
    expect((await answer).body).toMatchObject({ state: 'failed', revision: 3 })
    expect((await ask('w3', 'until=done', { prefer: 'wait=60' })).body.state).toBe('failed')
    await live.report('w4', 'one')
    expect((await ask('w4', 'until=done', { prefer: 'wait=1' })).body).toMatchObject({ state: 'active', revision: 1 })
  })

  test('tells of events that another node wrote, of which this one knows only by the log', async () => {
    await live.report('w5', 'one')
    const other = createCommandService({ log: live.log, clock: Date.now })
    const answer = ask('w5', 'until=changed', { 'if-none-match': '"1"', prefer: 'wait=60' })
    await waiting(1)
    const body = { type: 'ReportStatus', service: 'elsewhere', status: 'two' } as const
    const hash = requestHash('w5', undefined, body)
    await other.submit({ operation: 'w5', key: 'k', requestHash: hash, actor: 'x', body })
    expect((await answer).body).toMatchObject({ revision: 2, tracks: { main: { by: 'elsewhere' } } })
    await other.drain()
  })

  test('an operation that is not there yet is 404 at once, unless a wait is asked for', async () => {
    expect((await ask('nobody', 'until=changed')).status).toBe(404)
    expect((await ask('nobody', 'until=done')).status).toBe(404)
    expect((await ask('nobody', 'until=done', { prefer: 'respond-async' })).status).toBe(404)
    expect((await ask('nobody', '', { prefer: 'wait=60' })).status).toBe(404)
    await waiting(0)
  })

  test('changed, before the first report: answers as soon as the operation is opened', async () => {
    const answers = [
      ask('w10', 'until=changed', { prefer: 'wait=30' }),
      ask('w10', 'until=changed', { prefer: 'wait=30', 'if-none-match': '"0"' }),
      ask('w10', 'until=changed&consistency=strong', { prefer: 'respond-async, wait=30' }),
    ]
    await waiting(3)
    await live.report('w10', 'one')
    for (const answer of answers) {
      const { status, body, headers } = await answer
      expect([status, body.revision, headers.etag]).toEqual([200, 1, '"1"'])
      expect(headers['waybill-position']).toBe(body.position)
    }
  })

  test('done, before the first report: passes over what comes before', async () => {
    const done = ask('w7', 'until=done', { prefer: 'wait=30' })
    await waiting(1)
    await live.report('w7', 'one')
    await live.report('w7', 'two', { final: 'succeeded' })
    expect((await done).body).toMatchObject({ state: 'succeeded', revision: 2 })
  })

  test('404 when the time is up and nobody has reported', async () => {
    const begun = performance.now()
    const answer = await ask('nobody', 'until=changed', { prefer: 'wait=1' })
    expect([answer.status, answer.body.code]).toEqual([404, 'not_found'])
    expect(performance.now() - begun).toBeGreaterThan(900)
    expect((await ask('nobody', 'until=done', { prefer: 'wait=0' })).status).toBe(404)
    await waiting(0)
  })

  test('never 404 for what was accepted: at the end of the time the log is asked, when the read model is behind', async () => {
    const behind = await startLive()
    try {
      await behind.projections.projector.stop()
      const answer = behind.send('GET', '/v1/operations/slow?until=done', undefined, { prefer: 'wait=5' })
      await eventually('a wait', async () => {
        const { text } = await behind.send('GET', '/metrics')
        return text.includes('waybill_operation_waits 1\n') ? true : undefined
      })
      await behind.report('slow', 'one')
      expect((await answer).body).toMatchObject({ id: 'slow', revision: 1 })
    } finally {
      await behind.close()
    }
  })

  test('those that wait for what is not there count as others do, and leave with their callers', async () => {
    const few = await startLive({ limits: { waitsMax: 2 } })
    try {
      const count = (waits: number) =>
        eventually(`${waits} waits`, async () => {
          const { text } = await few.send('GET', '/metrics')
          return text.includes(`waybill_operation_waits ${waits}\n`) ? true : undefined
        })
      const callers = await Promise.all([rawConnection(few.port), rawConnection(few.port)])
      for (const caller of callers) {
        caller.write('GET /v1/operations/none?until=changed HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n')
      }
      await count(2)
      const refused = await few.send('GET', '/v1/operations/none?until=changed', undefined, { prefer: 'wait=60' })
      expect([refused.status, refused.body.code]).toEqual([503, 'overloaded'])
      for (const { socket } of callers) socket.destroy()
      await count(0)
    } finally {
      await few.close()
    }
  })

  test('an unknown word is 400', async () => {
    expect((await ask('w1', 'until=never')).status).toBe(400)
    await waiting(0)
  })

  test('ends with its caller', async () => {
    const { port } = live
    const caller = await rawConnection(port)
    caller.write('GET /v1/operations/w4?until=done HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n')
    await waiting(1)
    caller.socket.destroy()
    await waiting(0)
  })

  test('thousands wait in bounded memory, ask the database nothing meanwhile, and get their answers', async () => {
    const operations = Array.from({ length: 100 }, (_, n) => `crowd-${n}`)
    for (const id of operations) await live.report(id, 'one')
    await live.projections.readModel.waitFor(await live.log.head(), patienceMs)
    const { readModel } = live.projections
    const one = vi.spyOn(readModel, 'operation')
    const several = vi.spyOn(readModel, 'operationsById')
    const questions = () => one.mock.calls.length + several.mock.calls.length
    const count = crowd
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const answers: Promise<string>[] = []
    while (answers.length < count) {
      for (let n = 0; n < wave; n += 1) answers.push(waitByHand(operations[n % operations.length] ?? ''))
      await waiting(answers.length)
    }
    // This node projects and has them in memory: not even the first look asks.
    expect(questions()).toBe(0)
    const refused = await ask('w1', 'until=changed')
    expect([refused.status, refused.body.code]).toEqual([503, 'overloaded'])
    expect(refused.headers['retry-after']).toBeDefined()
    globalThis.gc?.()
    const bytesEach = (process.memoryUsage().heapUsed - before) / count
    expect(bytesEach).toBeLessThan(40_000)
    one.mockClear()
    several.mockClear()
    await delay(300)
    expect(questions()).toBe(0)
    await Promise.all(operations.map((id) => live.report(id, 'two')))
    const got = (await Promise.all(answers)).map((text) =>
      /^HTTP.* (\d+) .*\r\netag: ([^\r]*)/s.exec(text)?.slice(1).join(),
    )
    expect(new Set(got)).toEqual(new Set(['200,"2"']))
    // One read for all who wait for what changed together, not one each.
    expect(questions()).toBeLessThan(300)
    vi.restoreAllMocks()
    await waiting(0)
  })

  test('as many as may wait and stream leave connections for who reports', () => {
    const { connectionsMax, waitsMax, streamsMax } = defaultApiLimits
    expect(connectionsMax - waitsMax - streamsMax).toBeGreaterThanOrEqual(1_000)
  })

  test('10,000 waits weigh little and settle at once', async () => {
    const waits = new OperationWaits()
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const settled = Array.from({ length: 10_000 }, (_, n) =>
      waits.add(`op-${n % 5_000}`, () => true).until(() => true, 60_000),
    )
    expect((process.memoryUsage().heapUsed - before) / 10_000).toBeLessThan(4_000)
    expect(waits.size).toBe(10_000)
    waits.endAll()
    expect(waits.size).toBe(0)
    expect(new Set(await Promise.all(settled))).toEqual(new Set([null]))
  })
})

test('waits end with an answer when the service shuts down; who has nothing to be shown is to ask again', async () => {
  const other = await startLive()
  try {
    await other.report('a', 'one')
    const looks = vi.spyOn(other.commands, 'load')
    const answer = other.send('GET', '/v1/operations/a?until=changed', undefined, { prefer: 'wait=60' })
    const undone = other.send('GET', '/v1/operations/c?until=done', undefined, { prefer: 'wait=60' })
    const changed = other.send('GET', '/v1/operations/c?until=changed', undefined, { prefer: 'wait=60' })
    const unopened = other.send('GET', '/v1/operations/b?until=changed', undefined, { prefer: 'wait=60' })
    // What is not there is looked for in the log: then the wait is for what comes.
    await eventually('looks', () => (looks.mock.results.length === 3 ? true : undefined))
    await Promise.all(looks.mock.results.map(({ value }) => value))
    await other.report('c', 'one')
    // All who wait for an operation are told together.
    expect((await changed).body.revision).toBe(1)
    other.drain.abort()
    expect((await answer).body.revision).toBe(1)
    expect((await undone).body).toMatchObject({ id: 'c', state: 'active', revision: 1 })
    expect([(await unopened).status, (await unopened).body.code]).toEqual([503, 'overloaded'])
    expect((await unopened).headers['retry-after']).toBeDefined()
  } finally {
    await other.close()
  }
})
