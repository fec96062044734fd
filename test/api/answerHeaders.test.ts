import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  await api.send('POST', '/v1/operations/headers/reports', {
    service: 's',
    status: 'a',
    pipeline: 'any',
    metadata: { __proto__x: 'no', constructor: 'built' },
  })
  await eventually(
    () => api.send('GET', '/v1/operations/headers'),
    ({ status }) => status === 200,
  )
})
afterAll(() => api.close())

test('no answer is taken for another type than it says, and none is kept without asking again', async () => {
  const requests = [
    ['GET', '/v1/operations', 'no-store'],
    ['GET', '/v1/operations/headers', 'no-cache'],
    ['GET', '/v1/pipelines/any', 'no-store'],
    ['GET', '/v1/operations/none', 'no-store'],
    ['GET', '/v1/nowhere', 'no-store'],
    ['GET', '/v1/events', 'no-store'],
    ['GET', '/metrics', 'no-store'],
    ['POST', '/v1/operations/headers/reports', 'no-store'],
    ['POST', '/v1/commands', 'no-store'],
    ['PUT', '/v1/pipelines/headers', 'no-store'],
  ] as const
  for (const [method, path, cacheControl] of requests) {
    const { headers } = await api.send(method, path, method === 'GET' ? undefined : {})
    expect([headers['x-content-type-options'], headers['cache-control']], `${method} ${path}`).toEqual([
      'nosniff',
      cacheControl,
    ])
  }
  const { headers } = await api.send('GET', '/v1/operations/headers')
  const same = await api.send('GET', '/v1/operations/headers', undefined, { 'if-none-match': String(headers.etag) })
  expect([same.status, same.headers['cache-control']]).toEqual([304, 'no-cache'])
})

test('names that objects have are names of metadata like any other', async () => {
  const found = async (query: string) => {
    const { status, body } = await api.send('GET', `/v1/operations?${query}`)
    return [status, body.operations?.map(({ id }: { id: string }) => id)]
  }
  expect(await found('metadata.constructor=built')).toEqual([200, ['headers']])
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    expect(await found(`metadata.${name}=x`), name).toEqual([200, []])
  }
  for (const name of ['__proto__', 'constructor', 'toString']) {
    expect((await api.send('GET', `/v1/operations?${name}=x`)).status, name).toBe(400)
  }
})
