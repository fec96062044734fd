// One key takes all there is of something: another key is served all the same, and the flooder is told why it is not.
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { openStream } from '../live/liveHarness.ts'
import { type Answer, type ApiHarness, eventually, type HarnessOptions, startApi } from './apiHarness.ts'
import { rawConnection } from './rawHttp.ts'

let api: ApiHarness
let port: number
const keys = new Map<string, string>()
afterEach(() => api.close())

async function start(options: HarnessOptions): Promise<void> {
  api = await startApi(options)
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  port = (api.app.server.address() as AddressInfo).port
  const make = async (name: string, roles: readonly string[]) => {
    const { status, body } = await api.send('POST', '/v1/keys', { name, roles }, headersOf('admin'))
    expect(status).toBe(201)
    keys.set(name, body.key)
  }
  keys.clear()
  await make('admin', ['operator'])
  for (const name of ['flooder', 'second', 'third', 'other']) await make(name, ['service', 'viewer', 'auditor'])
}

/** Before there is a key, nobody needs one. */
function headersOf(name: string): Record<string, string> {
  const key = keys.get(name)
  return key === undefined ? {} : { authorization: `Bearer ${key}` }
}

const send = (name: string, method: 'GET' | 'POST', url: string, body?: unknown, headers = {}): Promise<Answer> =>
  api.send(method, url, body, { ...headersOf(name), ...headers })
const report = (name: string, operation: string, more: object = {}) =>
  send(name, 'POST', `/v1/operations/${operation}/reports`, { service: 's', status: 'a', pipeline: 'any', ...more })

async function counted(limit: string): Promise<readonly number[]> {
  const { text } = await send('other', 'GET', '/metrics')
  for (const name of keys.keys()) expect(text, 'no key has a series of its own').not.toContain(`"${name}"`)
  const of = (metric: string) => Number(new RegExp(`^${metric}\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(text)?.[1])
  return ['taken', 'refused_total', 'reclaimed_total'].map((what) => of(`waybill_limit_${what}`))
}

function expectRefusal(answer: Pick<Answer, 'status' | 'headers' | 'body'>, setting: string): void {
  expect([answer.status, answer.body.code]).toEqual([503, 'overloaded'])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  expect(answer.body.detail).toContain(setting)
  expect(answer.body.detail).toMatch(/this key has its share.*try again later/)
}

/** What is called passes once it is opened. */
function gate() {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

describe('one key takes all', () => {
  test('reads of lists: of its reads that wait the oldest is refused, and another key reads in its turn', async () => {
    await start({ limits: { readsMax: 8 } })
    const { readModel } = api.projections
    const { open, passed } = gate()
    const list = readModel.operations.bind(readModel)
    const begun: unknown[] = []
    vi.spyOn(readModel, 'operations').mockImplementation(async (query) => {
      begun.push(query.idPrefix)
      await passed
      return list(query)
    })
    const flood = Array.from({ length: 8 }, (_, n) => send('flooder', 'GET', `/v1/operations?idPrefix=flood-${n}`))
    await eventually(
      async () => (await counted('reads'))[0],
      (taken) => taken === 8,
    )
    expectRefusal(await send('flooder', 'GET', '/v1/operations'), 'WAYBILL_READS_MAX')
    const served = send('other', 'GET', '/v1/operations?idPrefix=other')
    expectRefusal(await Promise.race(flood), 'WAYBILL_READS_MAX')
    open()
    expect((await served).status).toBe(200)
    const statuses = (await Promise.all(flood)).map(({ status }) => status)
    expect(statuses).toEqual([200, 200, 200, 200, 503, 200, 200, 200])
    // Four are read at once; then the keys take turns.
    expect(begun.indexOf('other')).toBeLessThanOrEqual(5)
    expect(await counted('reads')).toEqual([0, 1, 1])
  })

  test('reads, three keys together: a fourth has its part', async () => {
    await start({ limits: { readsMax: 16 } })
    const { readModel } = api.projections
    const { open, passed } = gate()
    const list = readModel.operations.bind(readModel)
    vi.spyOn(readModel, 'operations').mockImplementation((query) => passed.then(() => list(query)))
    const flood = ['flooder', 'second', 'third'].flatMap((name) =>
      Array.from({ length: 16 }, () => send(name, 'GET', '/v1/operations')),
    )
    const served = Array.from({ length: 4 }, () => send('other', 'GET', '/v1/operations'))
    const isDecided = ([taken, refused = 0, reclaimed = 0]: readonly number[]) =>
      taken === 16 && refused + reclaimed === flood.length + served.length - 16
    await eventually(() => counted('reads'), isDecided)
    open()
    expect((await Promise.all(served)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await Promise.all(flood)
    expect((await counted('reads'))[0]).toBe(0)
  })

  test('live streams: its oldest ends in order, and resumes without loss once there is room', async () => {
    await start({ limits: { streamsMax: 3, streamRetryMs: 1 } })
    const path = '/v1/events/stream?pipeline=any'
    await report('flooder', 'before')
    const flood = [await openStream(port, path, headersOf('flooder'))]
    await flood[0]?.until((messages) => messages.length === 2)
    for (let n = 0; n < 2; n += 1) flood.push(await openStream(port, path, headersOf('flooder')))
    const oneMore = await openStream(port, path, headersOf('flooder'))
    expect(await oneMore.ended).toBe(true)
    expect(oneMore.messages).toEqual([])
    const served = await openStream(port, path, headersOf('other'))
    await served.until((messages) => messages.length === 2)
    expect(await flood[0]?.ended).toBe(true)
    expect(flood[0]?.text()).toMatch(/: the service ends this stream; come back with Last-Event-ID\nretry: \d+\n\n$/)
    await report('flooder', 'meanwhile')
    await served.until((messages) => messages.length === 4)
    served.close()
    await eventually(
      async () => (await counted('streams'))[0],
      (taken) => taken === 2,
    )
    const resumed = await openStream(port, path, { ...headersOf('flooder'), 'last-event-id': flood[0]?.lastId() ?? '' })
    const missed = await resumed.until((messages) => messages.length === 2)
    expect(missed.map(({ data }) => JSON.parse(data).stream)).toEqual(['operation-meanwhile', 'operation-meanwhile'])
    expect((await counted('streams')).slice(1)).toEqual([1, 1])
    for (const reader of [...flood, resumed]) reader.close()
    await eventually(
      async () => (await counted('streams'))[0],
      (taken) => taken === 0,
    )
  })

  test('waits: its oldest is refused, and another key waits', async () => {
    await start({ limits: { waitsMax: 3 } })
    for (const name of ['flooder', 'other']) await report(name, name)
    const wait = (name: string, operation = name) =>
      send(name, 'GET', `/v1/operations/${operation}?until=changed`, undefined, {
        prefer: 'wait=60',
        'if-none-match': '"1"',
      })
    const flood = [wait('flooder', 'not-there')]
    for (let n = 1; n <= 3; n += 1) {
      await eventually(
        async () => (await counted('waits'))[0],
        (taken) => taken === n,
      )
      flood.push(wait('flooder'))
    }
    expectRefusal((await flood.pop()) ?? expect.unreachable(), 'WAYBILL_WAITS_MAX')
    const served = wait('other')
    expectRefusal(await Promise.race(flood), 'WAYBILL_WAITS_MAX')
    for (const name of ['flooder', 'other']) await report(name, name, { status: 'b' })
    expect((await served).body).toMatchObject({ id: 'other', revision: 2 })
    expect((await Promise.all(flood)).map(({ status }) => status)).toEqual([503, 200, 200])
    expect(await counted('waits')).toEqual([0, 1, 1])
  })

  test('bytes of bodies that arrive: its oldest body is refused, and another key’s is read', async () => {
    await start({ limits: { arrivingBytesMax: 200_000 } })
    const half = async (name: string) => {
      const connection = await rawConnection(port)
      onTestFinished(() => void connection.socket.destroy())
      connection.write(
        `POST /v1/operations/x/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
          `Authorization: Bearer ${keys.get(name)}\r\nContent-Length: 99000\r\n\r\n${'x'.repeat(90_000)}`,
      )
      return connection
    }
    const flood = [await half('flooder'), await half('flooder')]
    await eventually(
      async () => (await counted('bodies'))[0],
      (taken) => taken === 180_000,
    )
    const refused = await (await half('flooder')).until(/"code":"overloaded"/)
    expect(refused).toMatch(/^HTTP\/1.1 503 .*retry-after: \d/is)
    const answer = await fetch(`http://127.0.0.1:${port}/v1/operations/other/reports`, {
      method: 'POST',
      body: JSON.stringify({ service: 's', status: 'a', pipeline: 'any', data: { text: 'x'.repeat(70_000) } }),
      headers: { 'content-type': 'application/json', ...headersOf('other') },
    })
    expect(answer.status).toBe(201)
    const reclaimed = (await flood[0]?.until(/"code":"overloaded"/)) ?? ''
    expect(reclaimed).toMatch(/WAYBILL_ARRIVING_BYTES_MAX.*Nothing was written/)
    for (const { socket } of flood) socket.destroy()
    await eventually(
      async () => (await counted('bodies'))[0],
      (taken) => taken === 0,
    )
  })

  test('compressed uploads: its oldest ends with a reason, and another key’s is unpacked', async () => {
    await start({})
    const upload = async () => {
      const connection = await rawConnection(port)
      onTestFinished(() => void connection.socket.destroy())
      connection.write(
        'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n' +
          `Authorization: Bearer ${keys.get('flooder')}\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      return connection
    }
    const flood = [await upload()]
    const taken = async () => (await counted('unpackers'))[0]
    await eventually(taken, (count) => count === 1)
    while (flood.length < 32) flood.push(await upload())
    await eventually(taken, (count) => count === 32)
    expect(await (await upload()).until(/"code":"overloaded"/)).toMatch(/^HTTP\/1.1 503 .*this key has its share/s)
    const answer = await fetch(`http://127.0.0.1:${port}/v1/commands`, {
      method: 'POST',
      body: gzipSync('{"type":"ReportStatus","operation":"z","service":"s","status":"a","pipeline":"any"}\n'),
      headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip', ...headersOf('other') },
    })
    expect([answer.status, JSON.parse(await answer.text())]).toMatchObject([200, { outcome: 'applied' }])
    expect(await flood[0]?.until(/"code":"overloaded"/)).toMatch(/^HTTP\/1.1 503 .*compressed bulk requests at once/s)
    for (const { socket } of flood) socket.destroy()
    await eventually(taken, (count) => count === 0)
  })

  test('answers that it does not read: its connection is cut, and another key is answered', async () => {
    await start({ limits: { answersBytesMax: 40 * 1024 * 1024, bulkIdleMsMax: 3_600_000 } })
    // A page of 15 MB: more than what the buffers of a connection take.
    const data = { text: 'x'.repeat(390_000) }
    for (let n = 0; n < 40; n += 1) expect((await report('other', `wide-${n}`, { data })).status).toBe(201)
    await eventually(
      () => send('other', 'GET', '/v1/stats'),
      ({ body }) => body.pipelines.any?.operations === 40,
    )
    const page = '/v1/operations?idPrefix=wide-&pageSize=1000'
    const unread = async () => {
      const connection = await rawConnection(port)
      onTestFinished(() => void connection.socket.destroy())
      connection.socket.pause()
      connection.write(
        `GET ${page} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${keys.get('flooder')}\r\n\r\n`,
      )
      return connection
    }
    const first = await unread()
    const bytes = async () => (await counted('answers'))[0] ?? 0
    await eventually(bytes, (unreadBytes) => unreadBytes > 15_000_000)
    await unread()
    await eventually(bytes, (unreadBytes) => unreadBytes > 30_000_000)
    expectRefusal(await send('flooder', 'GET', page), 'WAYBILL_ANSWERS_BYTES_MAX')
    const closed = first.closed()
    expect((await send('other', 'GET', page)).status).toBe(200)
    first.socket.resume()
    expect((await closed).length).toBeLessThan(15_000_000)
    expect((await counted('answers')).slice(1)).toEqual([1, 1])
  })

  test('the queue of commands: its oldest that is not sent is refused, and another key’s report is taken', async () => {
    const { open, passed } = gate()
    let isOpen = true
    const wrapLog = (log: EventLog): EventLog => ({
      ...log,
      logId: log.logId,
      readAll: (options) => log.readAll(options),
      readStream: (stream, options) => log.readStream(stream, options),
      readEvent: (stream, id) => log.readEvent(stream, id),
      subscribe: (options) => log.subscribe(options),
      head: () => log.head(),
      close: () => log.close(),
      async append(batch) {
        if (!isOpen) await passed
        return log.append(batch)
      },
    })
    await start({ wrapLog, commandLimits: { queuedCommandsMax: 6, batchCommandsMax: 1 } })
    isOpen = false
    const flood = Array.from({ length: 6 }, (_, n) => report('flooder', `flood-${n}`))
    await eventually(
      async () => (await counted('commands'))[0],
      (taken) => taken === 6,
    )
    const oneMore = await report('flooder', 'one-more')
    expect([oneMore.status, oneMore.body.code]).toEqual([503, 'overloaded'])
    const served = report('other', 'other')
    const refused = await Promise.race(flood)
    expect([refused.status, refused.body.code, refused.headers['retry-after']]).toEqual([503, 'overloaded', '1'])
    expect(refused.body.detail).toMatch(/this key has its share.*Nothing was written; send the command again later/)
    open()
    expect((await served).status).toBe(201)
    const statuses = (await Promise.all(flood)).map(({ status }) => status).sort((one, two) => one - two)
    expect(statuses).toEqual([201, 201, 201, 201, 201, 503])
    expect(await counted('commands')).toEqual([0, 1, 1])
    expect((await counted('command_bytes'))[0]).toBe(0)
  })

  test('uploads, many that begin at once: no line is refused for want of room, and another key’s report is taken', async () => {
    const limits = { bulkCommandsMax: 8, bulkCommandsTotalMax: 10 }
    await start({ limits, commandLimits: { queuedCommandsMax: 12 } })
    const uploads = Array.from({ length: 30 }, async (_, upload) => {
      const lines = Array.from({ length: 20 }, (_line, n) =>
        JSON.stringify({ type: 'OpenOperation', operation: `up-${upload}-${n}`, pipeline: 'any' }),
      )
      const { text } = await send('flooder', 'POST', '/v1/commands', `${lines.join('\n')}\n`, {
        'content-type': 'application/x-ndjson',
      })
      return text
        .trimEnd()
        .split('\n')
        .map((line) => Number(JSON.parse(line).httpStatus))
    })
    for (let n = 0; n < 5; n += 1) expect((await report('other', `other-${n}`)).status).toBe(201)
    const statuses = (await Promise.all(uploads)).flat()
    expect(statuses.length).toBe(600)
    expect(new Set(statuses)).toEqual(new Set([201]))
    expect((await counted('commands'))[0]).toBe(0)
  })
})
