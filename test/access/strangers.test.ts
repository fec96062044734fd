import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, startApi } from '../api/apiHarness.ts'

const foreign: readonly (readonly [what: string, headers: Record<string, string>, named: string])[] = [
  ['a name that resolves here', { host: 'rebound.example:8080' }, 'Host'],
  ['a name that only begins so', { host: 'localhost.example' }, 'Host'],
  ['a name that only ends so', { host: 'notlocalhost' }, 'Host'],
  ['a name with digits of an address', { host: '127.0.0.1.example' }, 'Host'],
  ['an address of another machine', { host: '10.0.0.1:8080' }, 'Host'],
  ['every address', { host: '0.0.0.0:8080' }, 'Host'],
  ['a port that is none', { host: 'localhost:port' }, 'Host'],
  ['a page of another site', { origin: 'https://pages.example' }, 'Origin'],
  ['a page without an origin', { origin: 'null' }, 'Origin'],
  ['a page of another scheme', { origin: 'chrome-extension://localhost' }, 'Origin'],
  ['two origins', { origin: 'http://localhost:8080, https://pages.example' }, 'Origin'],
  [
    'a form or an image of another site',
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
    'Sec-Fetch-Site',
  ],
  ['a proxy', { forwarded: 'for=192.0.2.60' }, 'forwarded'],
  ['a proxy, as most say it', { 'x-forwarded-for': '192.0.2.60' }, 'x-forwarded-for'],
  ['a proxy that tells the name', { 'x-forwarded-host': 'waybill.example' }, 'x-forwarded-host'],
  ['a proxy that tells the scheme', { 'x-forwarded-proto': 'https' }, 'x-forwarded-proto'],
  ['a proxy that tells the port alone', { 'x-forwarded-port': '443' }, 'x-forwarded-port'],
  ['a proxy that tells the address', { 'x-real-ip': '192.0.2.60' }, 'x-real-ip'],
  ['a gateway', { via: '1.1 gateway' }, 'via'],
]

const own: readonly (readonly [what: string, headers: Record<string, string>])[] = [
  ['localhost', { host: 'localhost:8080' }],
  ['localhost without a port', { host: 'LOCALHOST' }],
  ['the root of names', { host: 'localhost.:8080' }],
  ['a name below it', { host: 'waybill.localhost:80' }],
  ['an address', { host: '127.0.0.1:8080' }],
  ['another address of this machine', { host: '127.1.2.3' }],
  ['an address of six', { host: '[::1]:8080' }],
  ['its own page', { host: 'localhost:8080', origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin' }],
  [
    'a page of another port',
    { host: '127.0.0.1:8080', origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' },
  ],
  ['fetch of Node.js', { 'sec-fetch-mode': 'cors' }],
]

const report = { service: 'ocr', status: 'read', pipeline: 'any' }

describe('a service without keys', () => {
  let api: ApiHarness
  beforeAll(async () => {
    api = await startApi()
  })
  afterAll(() => api.close())

  test.each(foreign)('answers nothing to %s, and says why and what to do', async (_, headers, named) => {
    const requests = [
      ['POST', '/v1/operations/stranger/reports', report],
      ['POST', '/v1/keys', { name: 'admin', roles: ['operator'] }],
      ['GET', '/v1/operations', undefined],
      ['GET', '/v1/events/stream', undefined],
      ['GET', '/metrics', undefined],
    ] as const
    for (const [method, path, body] of requests) {
      const answer = await api.send(method, path, body, headers)
      expect([answer.status, answer.body.code], path).toEqual([403, 'forbidden'])
      expect(answer.body.detail).toContain(named)
      expect(answer.body.detail).toContain('Make an access key')
    }
    const lines = await api.send('POST', '/v1/commands', '{}', { ...headers, 'content-type': 'application/x-ndjson' })
    expect(lines.status).toBe(403)
    expect((await api.send('GET', '/v1/operations/stranger?consistency=strong')).status).toBe(404)
  })

  test.each(own)('answers programs of this machine: %s', async (_, headers) => {
    const answer = await api.send('POST', '/v1/operations/own/reports', report, headers)
    expect(answer.body.outcome, answer.text).toBeDefined()
  })

  test.each(foreign)(
    'answers what tells nothing to everybody, %s too: probes, and what the interface is like',
    async (_, headers) => {
      for (const path of ['/', '/livez', '/readyz', '/docs', '/openapi.json']) {
        expect([401, 403], path).not.toContain((await api.send('GET', path, undefined, headers)).status)
      }
    },
  )
})

test('where everybody was let in on purpose, any name is right, and pages of other sites are not', async () => {
  const api = await startApi({ loopbackOnly: false })
  try {
    // Needs no database: how long one takes to answer is not what this is about.
    const send = (headers: Record<string, string>) => api.send('GET', '/v1/pipelines/any', undefined, headers)
    const host = 'waybill.example:8080'
    expect((await send({ host })).status).toBe(200)
    expect((await send({ host, 'x-forwarded-for': '192.0.2.60' })).status).toBe(200)
    expect((await send({ host, origin: 'http://waybill.example:8080' })).status).toBe(200)
    expect((await send({ host, origin: 'http://localhost:8080' })).status).toBe(403)
    expect((await send({ host, origin: 'https://pages.example' })).status).toBe(403)
    expect((await send({ host, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    // A neighbour under the same domain, or on another port: not for whom it was opened, as its Origin would say.
    const neighbour = await send({ host, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })
    expect([neighbour.status, neighbour.body.detail]).toEqual([403, expect.stringContaining('same-site')])
    for (const site of ['same-origin', 'none']) expect((await send({ host, 'sec-fetch-site': site })).status).toBe(200)
  } finally {
    await api.close()
  }
})

test('with keys, the key alone decides', async () => {
  const api = await startApi()
  try {
    const { body } = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
    const authorization = `Bearer ${body.key}`
    for (const [what, headers] of foreign) {
      expect((await api.send('GET', '/v1/stats', undefined, { ...headers, authorization })).status, what).toBe(200)
      expect((await api.send('GET', '/v1/stats', undefined, headers)).status, what).toBe(401)
    }
  } finally {
    await api.close()
  }
})
