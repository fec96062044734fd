import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, startApi } from '../api/apiHarness.ts'
import { patienceMs } from '../support/patience.ts'
import { fuzz } from './fuzz.ts'
import type { FuzzReport } from './fuzzReport.ts'
import { type Seen, startPlantingProxy, type Told } from './plantingProxy.ts'

const requests = 1_500
/** A bound against hanging: a test takes some seconds, and ten times as long on a machine that does much else. */
const timeoutMs = 300_000
const seed = 11
/** Those below need 41 at most: how small a fault becomes has nothing to do with how fast the machine is. */
const shrinkTriesMax = 200
/** A clock that moves when a test moves it: how long a request takes has nothing to do with the machine. */
let nowMs = 0
const pace = { requestMsMax: 1_000, waitMsMax: 100, now: () => nowMs, silenceMs: patienceMs }
let api: ApiHarness

async function start(): Promise<number> {
  api = await startApi({ limits: { waitSMax: 0.1, waitSDefault: 0.1, pageSizeMax: 20, bodyBytesMax: 65_536 } })
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  return (api.app.server.address() as AddressInfo).port
}

/** A service with a fault, as far as anybody can see; found and shrunk, or not. */
async function fuzzed(
  plant: (seen: Seen, told: Told, port: number) => Partial<Told> | null | Promise<Partial<Told> | null>,
): Promise<FuzzReport> {
  const port = await start()
  const proxy = await startPlantingProxy(port, (seen, told) => plant(seen, told, port))
  try {
    return await fuzz({
      port: proxy.port,
      operatorKey: null,
      seed,
      requests,
      seconds: null,
      roundRequests: 500,
      faultsMax: 1,
      shrinkTriesMax,
      shrinkMsMax: timeoutMs,
      ...pace,
    })
  } finally {
    await proxy.close()
    await api.close()
  }
}

const problem = (detail: string, status = 400) => ({
  status,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({
    type: 'urn:x',
    title: 't',
    status,
    detail,
    instance: '/',
    code: status === 500 ? 'internal' : 'invalid',
  }),
})

describe('planted faults are found, and shrunk to what brings them about', { timeout: timeoutMs }, () => {
  test('a route that throws', async () => {
    const { faults } = await fuzzed(({ method, body }) =>
      method === 'PUT' && body.includes('"lateData":"record"') ? problem('Something went wrong.', 500) : null,
    )
    expect(faults).toMatchObject([{ kind: 'server_error', operation: 'definePipeline' }])
    const [fault] = faults
    expect(fault?.shrunk.body).toContain('"lateData":"record"')
    // Nothing else is left of the definition but what its form asks for.
    expect(fault?.shrunk.body?.length).toBeLessThan(60)
    expect(fault?.command).toMatch(/^curl .*-X PUT/)
  })

  test.each([
    ['orderBy', '"orderBy":"observedAt"', /"orderBy":"observedAt"/],
    ['orSkipped', '"orSkipped":true', /"orSkipped":true/],
  ])('a route that throws on a member of a definition: %s', async (_, text, shown) => {
    // The fuzzer's own definitions are accepted.
    const { faults } = await fuzzed(({ method, url, body }) =>
      method === 'PUT' && !url.endsWith('/byTime') && body.includes(text)
        ? problem('Something went wrong.', 500)
        : null,
    )
    expect(faults).toMatchObject([{ kind: 'server_error', operation: 'definePipeline' }])
    expect(faults[0]?.shrunk.body).toMatch(shown)
  })

  test('a receipt asked for by its key that says what is not documented', async () => {
    const { faults } = await fuzzed(({ method, url }, { status, body }) =>
      method === 'GET' && /\/commands\/[^/]+$/.test(url) && status === 200
        ? { body: body.replace(/"outcome":"\w+"/, '"outcome":"forgotten"') }
        : null,
    )
    expect(faults).toMatchObject([{ kind: 'body_not_as_documented', operation: 'getCommandOutcome' }])
    expect(faults[0]?.shrunk.target).toMatch(/^\/v1\/operations\/[^/]+\/commands\/[^/]+$/)
  })

  test('a status that is not documented', async () => {
    const { faults } = await fuzzed(({ url }, { status, headers, body }) =>
      url.includes('state=') ? { status: status === 200 ? 206 : status, headers, body } : null,
    )
    expect(faults).toMatchObject([{ kind: 'undocumented_status', operation: 'listOperations' }])
    expect(faults[0]?.shrunk.target).toMatch(/^\/v1\/operations\?(?:state=active|state=active&\w+=[\w%.-]+)$/)
  })

  test('an answer that tells of the inside', async () => {
    const { faults } = await fuzzed(({ body }, { status }) =>
      status === 400 && body.includes('__proto__') ? problem('insert into events: duplicate key value') : null,
    )
    expect(faults).toMatchObject([{ kind: 'internal_word' }])
    expect(faults[0]?.shrunk.body).toContain('__proto__')
  })

  test('an answer with a member too many', async () => {
    const { faults } = await fuzzed(({ method }, { status, body }) =>
      method === 'POST' && status === 200 && body.startsWith('{"operation"')
        ? { body: body.replace('{', '{"internalId":7,') }
        : null,
    )
    expect(faults).toMatchObject([{ kind: 'body_not_as_documented' }])
  })

  test('a refused report that is written all the same', async () => {
    const { faults } = await fuzzed(async ({ method, url, headers }, { status }, port) => {
      if (method === 'POST' && url.endsWith('/reports') && status === 409) {
        await fetch(`http://127.0.0.1:${port}/v1/operations/shadow/reports`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: String(headers.authorization) },
          body: '{"service":"s","status":"a","pipeline":"any"}',
        })
      }
      return null
    })
    expect(faults).toMatchObject([{ kind: 'event_unasked' }])
    expect(faults[0]?.shrunk.target).toMatch(/\/reports/)
  })

  test('a request that keeps the service busy for long, among hundreds that had to wait for it', async () => {
    const { faults } = await fuzzed(({ body }) => {
      if (/\d{1000}/.test(body)) nowMs += 1_800
      return null
    })
    expect(faults).toMatchObject([{ kind: 'too_slow', detail: '3 times it took 1800 ms or more' }])
    expect(faults[0]?.shrunk.body).toMatch(/\d{1000}/)
  })

  test('an operation nobody spoke of that changes', async () => {
    let planted = 0
    const { faults } = await fuzzed(async ({ method }) => {
      if (method !== 'PATCH') return null
      await api.commands.submit({
        operation: 'witness-2',
        key: `planted-${planted++}`,
        requestHash: 'planted',
        actor: 'nobody',
        body: { type: 'ReportStatus', service: 's', status: 'status1', data: { planted } },
      })
      return null
    })
    expect(faults).toMatchObject([{ kind: 'event_unasked', shrunk: { method: 'PATCH' } }])
  })
})

describe('a service without a planted fault', { timeout: timeoutMs }, () => {
  let port: number
  beforeAll(async () => {
    port = await start()
  })
  afterAll(() => api.close())

  test('is found to be as documented', async () => {
    const report = await fuzz({ port, operatorKey: null, seed, requests, seconds: null, ...pace })
    expect(report.faults).toEqual([])
    expect(report.requests).toBe(requests)
    // Enough was sound to be written.
    expect(report.events).toBeGreaterThan(20)
    expect(api.errors).toEqual([])
  })
})
