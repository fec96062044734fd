import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { buildServer } from '../../src/api/server.ts'
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
