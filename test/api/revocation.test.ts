// What outlives the moment in which its key was looked at: waits, exports, uploads, streams.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { patienceMs } from '../support/patience.ts'
import { type ApiHarness, eventually, linear, startApi } from './apiHarness.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

let api: ApiHarness
let admin: string
let reader: string
/** Called before each page that an export reads. */
let beforePage: () => Promise<void>

beforeEach(async () => {
  beforePage = async () => undefined
  api = await startApi({
    wrapLog: (log) => ({
      ...log,
      logId: log.logId,
      append: (batch) => log.append(batch),
      readStream: (stream, options) => log.readStream(stream, options),
      readEvent: (stream, id) => log.readEvent(stream, id),
      subscribe: (options) => log.subscribe(options),
      close: () => log.close(),
      head: () => log.head(),
      async readAll(options) {
        await beforePage()
        return log.readAll(options)
      },
    }),
  })
  await api.send('PUT', '/v1/pipelines/linear', linear)
  admin = (await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })).body.key
  reader = (
    await api.send('POST', '/v1/keys', { name: 'reader', roles: ['viewer', 'auditor', 'service'] }, bearer(admin))
  ).body.key
})
afterEach(() => api.close())

async function revoke(): Promise<void> {
  expect((await api.send('DELETE', '/v1/keys/reader', undefined, bearer(admin))).status).toBe(204)
}

async function open(id: string): Promise<void> {
  expect((await api.send('POST', '/v1/operations', { id, pipeline: 'linear' }, bearer(admin))).status).toBe(201)
}

const waiting = () =>
  api.send('GET', '/metrics', undefined, bearer(admin)).then(({ text }) => /waybill_operation_waits 1$/m.test(text))

describe('a wait whose key is revoked', () => {
  test.each(['changed', 'done'])('for `until=%s` ends with 401, long before its time', async (until) => {
    await open('op-1')
    const answer = api.send('GET', `/v1/operations/op-1?until=${until}`, undefined, {
      ...bearer(reader),
      prefer: 'wait=60',
    })
    await eventually(waiting, (is) => is)
    await revoke()
    const { status, body } = await answer
    expect([status, body.code]).toEqual([401, 'unauthorised'])
  })

  test('is not told what changed meanwhile', async () => {
    await open('op-1')
    const answer = api.send('GET', '/v1/operations/op-1?until=changed', undefined, {
      ...bearer(reader),
      'if-none-match': '"0"',
      prefer: 'wait=60',
    })
    await eventually(waiting, (is) => is)
    await revoke()
    const report = { service: 's', status: 'status1' }
    await api.send('POST', '/v1/operations/op-1/reports', report, bearer(admin))
    expect((await answer).status).toBe(401)
  })

  test.each(['/v1/operations', '/v1/stats', '/v1/pipelines'])(
    'for a position ends with 401: %s',
    async (path) => {
      await open('op-1')
      const paused = await api.send('POST', '/v1/projections/operations/pause', {}, bearer(admin))
      expect(paused.status).toBe(200)
      await open('op-2')
      const head = (await api.send('GET', '/v1/operations/op-2?consistency=strong', undefined, bearer(admin))).headers
      const answer = api.send('GET', `${path}?minPosition=${String(head['waybill-position'])}`, undefined, {
        ...bearer(reader),
        prefer: 'wait=60',
      })
      await revoke()
      const { status, body: problem } = await answer
      expect([status, problem.code]).toEqual([401, 'unauthorised'])
    },
    patienceMs,
  )
})

test('an export is broken off at the page after its key was revoked', async () => {
  for (let count = 0; count < 150; count += 1) await open(`op-${count}`)
  const head = await api.log.head()
  let pages = 0
  beforePage = async () => {
    pages += 1
    if (pages === 1) await revoke()
  }
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = api.app.server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/v1/events`, {
    headers: { ...bearer(reader), accept: 'application/x-ndjson' },
  })
  expect(answer.status).toBe(200)
  await expect(answer.text()).rejects.toThrow()
  expect(head).toBeGreaterThan(150n)
  expect(pages).toBe(1)
})

test('a live stream ends, and an upload is told at its next line', async () => {
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = api.app.server.address() as AddressInfo
  const stream = await fetch(`http://127.0.0.1:${port}/v1/events/stream`, { headers: bearer(reader) })
  expect(stream.status).toBe(200)
  const { request } = await import('node:http')
  const upload = request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/v1/commands',
    headers: { ...bearer(reader), 'content-type': 'application/x-ndjson' },
  })
  const line = (id: string) => `${JSON.stringify({ type: 'OpenOperation', operation: id, pipeline: 'linear' })}\n`
  upload.write(line('up-1'))
  const [response] = await once(upload, 'response')
  const [first] = await once(response, 'data')
  expect(JSON.parse(String(first))).toMatchObject({ httpStatus: 201 })
  await revoke()
  upload.write(line('up-2'))
  const [second] = await once(response, 'data')
  expect(JSON.parse(String(second).split('\n')[0] ?? '')).toMatchObject({ httpStatus: 401 })
  upload.destroy()
  // Ends in order, within a tick.
  expect(await stream.text()).toContain('event')
})
