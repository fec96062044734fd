import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { ApiLimits } from '../../src/api/limits.ts'
import { buildServer } from '../../src/api/server.ts'
import { UnreadAnswers } from '../../src/api/unreadAnswers.ts'
import { FairShare } from '../../src/runtime/fairShare.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'
import { rawConnection } from './rawHttp.ts'

const operations = 40
const mebibyte = 1024 * 1024
let api: ApiHarness
let port: number

/** A page of 15 MB: more than what the buffers of a connection take. */
const page = '/v1/operations?idPrefix=wide-&pageSize=1000'
const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

beforeAll(async () => {
  // Longer than a test may take: whoever does not read stays until the test has it go.
  api = await startApi({ limits: { answersBytesMax: 20 * mebibyte, bulkIdleMsMax: 3_600_000 } })
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  port = (api.app.server.address() as AddressInfo).port
  const data = { text: 'x'.repeat(390_000) }
  for (let n = 0; n < operations; n += 1) {
    const answer = await api.send('POST', '/v1/operations', { id: `wide-${n}`, pipeline: 'any', data })
    expect(answer.status).toBe(201)
  }
  await eventually(
    () => api.send('GET', '/v1/stats'),
    ({ body }) => body.pipelines.any?.operations === operations,
  )
})
afterAll(() => api.close())

async function reader(requests: string, to = port) {
  const connection = await rawConnection(to)
  onTestFinished(() => void connection.socket.destroy())
  connection.socket.pause()
  connection.write(requests)
  return connection
}

const list = async () => {
  const { status, headers, text } = await api.send('GET', page)
  return { status, headers, text: text.slice(0, 400) }
}

test('pages that nobody reads are bounded together, until their reader has left', async () => {
  expect((await list()).status).toBe(200)
  const { socket } = await reader(request(page))
  const refused = await eventually(list, ({ status }) => status === 503)
  expect(JSON.parse(refused.text)).toMatchObject({ code: 'overloaded' })
  expect(refused.headers['retry-after']).toBe('1')
  // Reports are taken all the same.
  expect((await api.send('POST', '/v1/operations', { pipeline: 'any' })).status).toBe(201)
  socket.destroy()
  await eventually(list, ({ status }) => status === 200)
})

test('who takes nothing of a page is cut off', async () => {
  const { access, trail, log, commands, projections, drain } = api
  const { readModel, projector, control } = projections
  const rooms = { access, trail, log, commands, readModel, projector, control, draining: drain.signal }
  const hurried = await buildServer({ ...rooms, version: '0.0.0-test', limits: { bulkIdleMsMax: 300 } })
  onTestFinished(() => hurried.close())
  await hurried.listen({ port: 0, host: '127.0.0.1' })
  const connections = () =>
    new Promise<number>((resolve) => hurried.server.getConnections((_error, count) => resolve(count)))
  const { socket } = await reader(request(page), (hurried.server.address() as AddressInfo).port)
  await eventually(connections, (count) => count === 1)
  await eventually(connections, (count) => count === 0)
  socket.destroy()
})

test('of reads that come together on one connection, one is begun when the one before it has been taken', async () => {
  const connection = await reader(request(page) + request('/v1/operations/wide-1').repeat(5))
  const asked = async () => {
    const { text } = await api.send('GET', '/metrics')
    return Number(
      /^waybill_http_request_duration_seconds_count\{method="GET",route="\/v1\/operations\/:id",status="200"\} (\d+)/m.exec(
        text,
      )?.[1] ?? 0,
    )
  }
  await eventually(list, ({ status }) => status === 503)
  expect(await asked()).toBe(0)
  connection.socket.resume()
  await eventually(asked, (count) => count === 5)
  connection.socket.destroy()
})

test('so are files of the documentation, which all who do not read them share', async () => {
  const path = '/docs/static/swagger-ui-bundle.js'
  const first = await api.send('GET', path)
  expect(first.text.length).toBeGreaterThan(mebibyte)
  const answered = async () => {
    const { text } = await api.send('GET', '/metrics')
    const count =
      /^waybill_http_request_duration_seconds_count\{method="GET",route="\/docs\/static\/\*",status="200"\} (\d+)/m
    return Number(count.exec(text)?.[1] ?? 0)
  }
  const before = await answered()
  // Together more than all answers may take.
  const readers = await Promise.all(Array.from({ length: 40 }, () => reader(request(path).repeat(60))))
  await eventually(answered, (count) => count >= before)
  expect((await list()).status).toBe(200)
  const [one] = readers
  // The buffers of a connection take a few.
  expect((await answered()) - before).toBeLessThan(30 * readers.length)
  one?.socket.resume()
  await eventually(answered, (count) => count >= before + 3)
  for (const { socket } of readers) socket.destroy()
})

test('a file of the documentation that is known is 304', async () => {
  const path = '/docs/static/swagger-ui-bundle.js'
  const { headers } = await api.send('GET', path)
  const etag = String(headers.etag)
  for (const known of [etag, `"other", ${etag}`, '*', `W/${etag.replace(/^W\//, '')}`]) {
    const again = await api.send('GET', path, undefined, { 'if-none-match': known })
    expect([again.status, again.text], known).toEqual([304, ''])
  }
  expect((await api.send('GET', path, undefined, { 'if-none-match': '"other"' })).status).toBe(200)
})

/** A server on the same parts, which keeps what it makes answers of. */
async function watchedServer(limits: Partial<ApiLimits> = {}) {
  const { access, trail, log, commands, projections, drain } = api
  const { readModel, projector, control } = projections
  const rooms = { access, trail, log, commands, readModel, projector, control, draining: drain.signal }
  const made: { readonly path: string; readonly status: number; readonly payload: unknown }[] = []
  const server = await buildServer({
    ...rooms,
    version: '0.0.0-test',
    limits: { bulkIdleMsMax: 3_600_000, ...limits },
    prepare: (app) =>
      app.addHook('onSend', async ({ url }, { statusCode }, payload) => {
        made.push({ path: url, status: statusCode, payload })
        return payload
      }),
  })
  onTestFinished(() => server.close())
  await server.listen({ port: 0, host: '127.0.0.1' })
  return { server, made, port: (server.server.address() as AddressInfo).port }
}

test('a definition is not begun on a connection whose answers nobody reads', async () => {
  const { made, port: watched } = await watchedServer()
  const body = JSON.stringify({ statuses: ['new', 'done'], outOfOrder: 'advance' })
  const put = `PUT /v1/pipelines/unread HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const connection = await reader(request(page) + put.repeat(5), watched)
  await eventually(
    async () => made.length,
    (count) => count > 0,
  )
  for (let n = 0; n < 3; n += 1) await (await fetch(`http://127.0.0.1:${watched}/livez`)).text()
  expect(made.filter(({ path }) => path === '/v1/pipelines/unread')).toHaveLength(0)
  connection.socket.resume()
  await eventually(
    async () => made.filter(({ path }) => path === '/v1/pipelines/unread').length,
    (count) => count === 5,
  )
  connection.socket.destroy()
})

test('however its name is spelt, a file of the documentation is kept once', async () => {
  const { made, server } = await watchedServer()
  for (const url of [
    '/docs/static/swagger-ui.css',
    '/docs/static/%73wagger-ui.css',
    '/docs/static/swagger-ui.css?a=1',
  ]) {
    expect((await server.inject(url)).statusCode, url).toBe(200)
  }
  const [first, ...others] = made.map(({ payload }) => payload)
  expect(Buffer.isBuffer(first)).toBe(true)
  for (const other of others) expect(other).toBe(first)
  expect((await server.inject('/docs/static//swagger-ui.css')).statusCode).toBe(404)
})

test('a large answer whose turn never came counts no longer once its connection is gone', async () => {
  const answers = new UnreadAnswers(new FairShare(mebibyte), 3_600_000)
  // The first request of a connection is never answered.
  const server = createServer(({ url }, response) => {
    if (url === '/second') answers.track(response, 'owner', 'x'.repeat(100_000))
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { socket } = await reader(request('/first') + request('/second'), (server.address() as AddressInfo).port)
  const bytes = async () => answers.bytes()
  await eventually(bytes, (count) => count === 100_000)
  socket.destroy()
  await eventually(bytes, (count) => count === 0)
})
