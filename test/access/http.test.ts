import { inspect } from 'node:util'
import fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guardRoutes } from '../../src/api/accessControl.ts'
import type { ApiServer } from '../../src/api/apiServer.ts'
import type { ZodInput } from '../../src/api/validation.ts'
import { type ApiHarness, eventually, startApi } from '../api/apiHarness.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

async function firstKey(api: ApiHarness): Promise<string> {
  const made = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
  expect(made.status).toBe(201)
  return made.body.key
}

describe('/v1/keys', () => {
  let api: ApiHarness
  let admin: Record<string, string>
  beforeAll(async () => {
    api = await startApi()
    const early = await api.send('POST', '/v1/keys', { name: 'ocr', roles: ['service'] })
    expect([early.status, early.body.code]).toEqual([409, 'operator_needed'])
    admin = bearer(await firstKey(api))
  })
  afterAll(() => api.close())

  test('makes a key, shows it once, and says who made it', async () => {
    const made = await api.send('POST', '/v1/keys', { name: 'ocr', roles: ['service', 'viewer'] }, admin)
    expect(made.body).toMatchObject({ name: 'ocr', roles: ['service', 'viewer'], createdBy: 'admin' })
    expect(made.body.key).toContain(made.body.id)
    expect(made.headers['cache-control']).toBe('no-store')
    const list = await api.send('GET', '/v1/keys', undefined, admin)
    expect(list.body.keys.map(({ name, createdBy }: Record<string, string>) => [name, createdBy])).toEqual([
      ['admin', 'anonymous'],
      ['ocr', 'admin'],
    ])
    expect(list.text).not.toContain(made.body.key.slice(-43))
    expect((await api.send('GET', '/v1/stats', undefined, bearer(made.body.key))).status).toBe(200)
  })

  test('lists in pages', async () => {
    for (const name of ['page-1', 'page-2']) {
      await api.send('POST', '/v1/keys', { name, roles: ['viewer'] }, admin)
    }
    const names: string[] = []
    let pageToken = ''
    do {
      const token = pageToken === '' ? '' : `&pageToken=${pageToken}`
      const { body } = await api.send('GET', `/v1/keys?pageSize=1${token}`, undefined, admin)
      names.push(...body.keys.map((key: { name: string }) => key.name))
      pageToken = body.nextPageToken
    } while (pageToken !== '')
    expect(names).toEqual([...names].sort())
    expect(names).toEqual(expect.arrayContaining(['admin', 'page-1', 'page-2']))
  })

  test('refuses what makes no sense, and says where', async () => {
    const bodies = [
      [{ name: 'x' }, '/roles'],
      [{ name: 'x', roles: [] }, '/roles'],
      [{ name: 'x', roles: ['boss'] }, '/roles/0'],
      [{ name: 'x', roles: ['viewer', 'viewer'] }, '/roles'],
      [{ name: 'a b', roles: ['viewer'] }, '/name'],
      [{ name: 'anonymous', roles: ['viewer'] }, '/name'],
      [{ name: 'operator', roles: ['viewer'] }, '/name'],
      [{ name: 'x', roles: ['viewer'], digest: 'y' }, '/digest'],
    ] as const
    for (const [body, pointer] of bodies) {
      const answer = await api.send('POST', '/v1/keys', body, admin)
      expect([answer.status, answer.body.errors?.[0]?.pointer], JSON.stringify(body)).toEqual([400, pointer])
    }
    const twice = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['viewer'] }, admin)
    expect([twice.status, twice.body.code]).toEqual([409, 'key_exists'])
  })

  test("revokes; an unknown one is 404, the last operator's stays", async () => {
    const { key } = (await api.send('POST', '/v1/keys', { name: 'short', roles: ['viewer'] }, admin)).body
    expect((await api.send('DELETE', '/v1/keys/short', undefined, admin)).status).toBe(204)
    expect((await api.send('GET', '/v1/stats', undefined, bearer(key))).status).toBe(401)
    expect((await api.send('DELETE', '/v1/keys/short', undefined, admin)).body.code).toBe('not_found')
    const last = await api.send('DELETE', '/v1/keys/admin', undefined, admin)
    expect([last.status, last.body.code]).toEqual([409, 'operator_needed'])
  })
})

describe('the rate limit', () => {
  const limit = 5

  test('holds for each key by itself, is told in the headers, and spares the open routes', async () => {
    const api = await startApi({ limits: { requestsPerSMax: limit } })
    try {
      const admin = bearer(await firstKey(api))
      const answers = await Promise.all(
        Array.from({ length: 4 * limit }, () => api.send('GET', '/v1/stats', undefined, admin)),
      )
      const refused = answers.filter(({ status }) => status === 429)
      expect(refused.length).toBeGreaterThanOrEqual(limit)
      for (const { body, headers } of refused) {
        expect(body).toMatchObject({ code: 'rate_limited', status: 429 })
        expect(headers).toMatchObject({
          'content-type': 'application/problem+json; charset=utf-8',
          'retry-after': '1',
          'ratelimit-limit': String(limit),
          'ratelimit-remaining': '0',
          'ratelimit-reset': '1',
        })
      }
      const taken = answers.find(({ status }) => status === 200)
      expect(taken?.headers, JSON.stringify(answers.map(({ status, body }) => [status, body.code]))).toMatchObject({
        'ratelimit-limit': String(limit),
      })
      expect(Number(taken?.headers['ratelimit-remaining'])).toBeLessThan(limit)
      const live = await Promise.all(Array.from({ length: 4 * limit }, () => api.send('GET', '/livez')))
      expect(new Set(live.map(({ status }) => status))).toEqual(new Set([200]))
      const strange = await api.send('GET', '/v1/stats', undefined, bearer('nothing'))
      expect([strange.status, strange.headers['ratelimit-limit']]).toEqual([401, undefined])

      const make = () => api.send('POST', '/v1/keys', { name: 'other', roles: ['viewer'] }, admin)
      const other = (await eventually(make, ({ status }) => status === 201)).body.key
      const used = await Promise.all(
        Array.from({ length: 4 * limit }, () => api.send('GET', '/v1/stats', undefined, admin)),
      )
      expect(used.some(({ status }) => status === 429)).toBe(true)
      expect((await api.send('GET', '/v1/stats', undefined, bearer(other))).status).toBe(200)
    } finally {
      await api.close()
    }
  })

  test('is off unless configured', async () => {
    const api = await startApi()
    try {
      const answers = await Promise.all(Array.from({ length: 50 }, () => api.send('GET', '/v1/pipelines')))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
      expect(Object.keys(answers[0]?.headers ?? {}).filter((name) => name.includes('ratelimit'))).toEqual([])
    } finally {
      await api.close()
    }
  })
})

describe('keys in logs', () => {
  test('are never there: requests are logged without headers, failures without what was presented', async () => {
    const api = await startApi({
      logRequests: true,
      wrapLog: (log) => ({
        ...log,
        logId: log.logId,
        append: (batch) => log.append(batch),
        readStream: (stream, options) => log.readStream(stream, options),
        readEvent: (stream, id) => log.readEvent(stream, id),
        subscribe: (options) => log.subscribe(options),
        close: () => log.close(),
        head: () => log.head(),
        readAll: () => Promise.reject(new TypeError('broken')),
      }),
    })
    try {
      const key = await firstKey(api)
      const { key: made } = (await api.send('POST', '/v1/keys', { name: 'a', roles: ['viewer'] }, bearer(key))).body
      for (const token of [key, made, `${key}x`]) {
        for (const path of ['/v1/events', '/v1/stats', '/v1/keys', '/nowhere']) {
          await api.send('GET', path, undefined, bearer(token))
        }
      }
      expect((await api.send('GET', '/v1/events', undefined, bearer(key))).status).toBe(500)
      expect(api.errors.length).toBeGreaterThan(0)
      expect(api.requests.length).toBeGreaterThan(10)
      const inspected = [...api.errors, ...api.requests].map((fields) => inspect(fields)).join('\n')
      for (const token of [key, made]) {
        expect(inspected).not.toContain(token)
        expect(inspected).not.toContain(token.slice(-43))
      }
    } finally {
      await api.close()
    }
  })
})

test('a route that does not say who may call it stops the start', async () => {
  const app: ApiServer = fastify().withTypeProvider<ZodInput>()
  const check = guardRoutes(app, { authenticate: () => null, closed: () => null }, { note: () => undefined }, true)
  app.get('/told', { config: { access: 'open' } }, () => 'x')
  expect(check).not.toThrow()
  app.get('/forgotten', () => 'x')
  expect(check).toThrow('GET /forgotten does not say who may call it')
  // Should it ever be served all the same, nobody gets in.
  expect((await app.inject('/forgotten')).statusCode).toBe(500)
  await app.close()
})
