import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { defaultApiLimits } from '../../src/api/limits.ts'
import { OperationWaits } from '../../src/api/live/operationWaits.ts'
import { createCommandService } from '../../src/commands/groupCommit.ts'
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
    const head = `GET /v1/operations/${id}?until=changed HTTP/1.1\r\nHost: x\r\n`
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

  test('an unknown operation is 404 at once, an unknown word 400', async () => {
    expect((await ask('nobody', 'until=changed', { prefer: 'wait=60' })).status).toBe(404)
    expect((await ask('w1', 'until=never')).status).toBe(400)
    await waiting(0)
  })

  test('ends with its caller', async () => {
    const { port } = live
    const caller = await rawConnection(port)
    caller.write('GET /v1/operations/w4?until=done HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\n\r\n')
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
    const settled = Array.from({ length: 10_000 }, (_, n) => waits.add(`op-${n % 5_000}`).until(() => true, 60_000))
    expect((process.memoryUsage().heapUsed - before) / 10_000).toBeLessThan(4_000)
    expect(waits.size).toBe(10_000)
    waits.endAll()
    expect(waits.size).toBe(0)
    expect(new Set(await Promise.all(settled))).toEqual(new Set([null]))
  })
})

test('waits end with an answer when the service shuts down', async () => {
  const other = await startLive()
  try {
    await other.report('a', 'one')
    const answer = other.send('GET', '/v1/operations/a?until=changed', undefined, { prefer: 'wait=60' })
    await eventually('a wait', async () => {
      const { text } = await other.send('GET', '/metrics')
      return text.includes('waybill_operation_waits 1\n') ? true : undefined
    })
    other.drain.abort()
    expect((await answer).body.revision).toBe(1)
  } finally {
    await other.close()
  }
})
