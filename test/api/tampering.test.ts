// What the service says of a log that was tampered with: the real service on PostgreSQL, over HTTP.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type Service, startService } from '../../src/service.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { type Tampering, tamperingWith } from '../support/tampering.ts'

const quiet = () => undefined
const logger = { info: quiet, warn: quiet, error: quiet }
const base = '/v1/projections/operations'
const definition = { statuses: ['new', 'read', 'paid'], outOfOrder: 'advance' }

let database: TestDatabase
let tampering: Tampering
let service: Service

/** Another process in all but name: nothing is left in memory. */
async function startAnew(): Promise<void> {
  await service?.stop()
  const config = readConfig({
    DATABASE_URL: database.connectionString,
    WAYBILL_PORT: '0',
    WAYBILL_AUDIT_INTERVAL_MS: '0',
  })
  service = await startService({ config, logger })
}

beforeAll(async () => {
  database = await createMigratedDatabase()
  tampering = await tamperingWith(database.connectionString)
  await startAnew()
})
afterAll(async () => {
  await service.stop()
  await tampering.end()
  await database.drop()
})

async function send(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(`${service.url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  // Whatever the contract says an answer holds is each test's own affair.
  const json: ReturnType<typeof JSON.parse> = text === '' ? null : JSON.parse(text)
  return { status: answer.status, body: json, etag: answer.headers.get('etag') }
}

const get = (path: string, headers: Record<string, string> = {}) => send('GET', path, undefined, headers)
const report = (id: string, status: string, data: object = {}) =>
  send('POST', `/v1/operations/${id}/reports`, { pipeline: 'invoice', service: 's', status, data })

async function history(...ids: readonly string[]): Promise<void> {
  expect((await send('PUT', '/v1/pipelines/invoice', definition)).status).toBeLessThan(300)
  let position = ''
  for (const id of ids) {
    await report(id, 'read', { total: 100 })
    position = (await report(id, 'paid', { by: 'card' })).body.position
  }
  await get(`/v1/stats?minPosition=${position}`)
}

async function rebuild(): Promise<void> {
  const { body } = await send('POST', `${base}/rebuild`, {})
  for (let current = body; current.outcome !== 'done'; ) {
    if (current.outcome === 'failed') throw new Error(current.problem)
    current = (await get(`${base}/rebuilds/${body.id}`)).body
  }
}

describe('an operation that was tampered with', () => {
  const first = (id: string) => tampering.change(`operation-${id}`, 0, 'data', (text) => `${text} `)
  const second = (id: string) => tampering.change(`operation-${id}`, 1, 'data', (text) => text.replace('100', '900'))

  it('is shown as such everywhere once a rebuild has met it, whatever this node holds in memory', async () => {
    await history('sound', 'broken', 'broken-at-first')
    const before = await get('/v1/operations/broken')
    expect((await get('/v1/operations/broken', { 'if-none-match': String(before.etag) })).status).toBe(304)
    await second('broken')
    await first('broken-at-first')
    await rebuild()

    const tampered = (revision: number) => ({ revision, reason: 'tampered' })
    for (const query of ['', '?consistency=strong']) {
      expect((await get(`/v1/operations/broken${query}`)).body.parked, query).toEqual(tampered(1))
      expect((await get(`/v1/operations/broken-at-first${query}`)).body.parked, query).toEqual(tampered(0))
      expect((await get(`/v1/operations/sound${query}`)).body.parked).toBeUndefined()
    }
    const again = await get('/v1/operations/broken', { 'if-none-match': String(before.etag) })
    expect([again.status, again.body?.parked]).toEqual([200, tampered(1)])
    const { operations } = (await get('/v1/operations?sort=id')).body
    expect(operations.map(({ id, parked }: { id: string; parked?: object }) => [id, parked])).toEqual([
      ['broken', tampered(1)],
      ['sound', undefined],
    ])
    expect((await get(base)).body).toMatchObject({ parked: 2, tampered: 2 })
    expect((await get(`${base}/parked`)).body.parked).toMatchObject([
      { stream: 'operation-broken', revision: 1, reason: 'tampered', detail: expect.stringContaining('hash chain') },
      { stream: 'operation-broken-at-first', revision: 0, reason: 'tampered' },
    ])
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    expect(metrics).toMatch(/^waybill_tampered_streams 2$/m)
  })

  it('is not taken up again by a retry or a skip', async () => {
    const interventions = async () =>
      (await get('/v1/events?pageSize=1000')).body.events.filter(
        ({ stream }: { stream: string }) => stream === 'projection-operations',
      )
    const before = await interventions()
    for (const [verb, body] of [
      ['retry', {}],
      ['skip', { revision: 1, reason: 'r' }],
      ['skip', { revision: 0, reason: 'r' }],
    ] as const) {
      const answer = await send('POST', `${base}/parked/operation-broken/${verb}`, body)
      expect([answer.status, answer.body.code, answer.body.revision]).toEqual([409, 'tampered', 1])
      expect(answer.body.detail).toBe(
        'The hash chain of operation-broken is broken at event 1: neither a retry nor a skip takes that away. ' +
          'Put the events back as they were appended, then rebuild the projection.',
      )
    }
    expect((await get(base)).body).toMatchObject({ tampered: 2 })
    expect(await interventions()).toEqual(before)
  })

  it('takes no command on a node that has to read it, and says why; strong reads say it too', async () => {
    await startAnew()
    for (const [id, revision] of [
      ['broken', 1],
      ['broken-at-first', 0],
    ] as const) {
      const refused = await report(id, 'paid')
      expect([refused.status, refused.body.code]).toEqual([500, 'unreadable'])
      expect(refused.body.detail).toContain('the hash chain of the operation')
      for (const query of ['', '?consistency=strong']) {
        const { status, body } = await get(`/v1/operations/${id}${query}`)
        if (id === 'broken') expect([status, body.revision, body.parked?.revision]).toEqual([200, 0, revision])
        else expect([status, body.code]).toEqual([500, 'unreadable'])
        if (status === 500) {
          expect(body.detail).toBe(
            'The log does not hold what was appended: the hash chain of operation-broken-at-first is broken at event 0.',
          )
        }
      }
    }
  })

  it('is found by a strong read that folds it, also when nobody has found it before', async () => {
    await history('found-late')
    await startAnew()
    await second('found-late')
    const plain = await get('/v1/operations/found-late')
    expect([plain.status, plain.body.revision, plain.body.parked]).toEqual([200, 2, undefined])
    const strong = await get('/v1/operations/found-late?consistency=strong')
    expect([strong.status, strong.body.revision]).toEqual([200, 2])
    expect(strong.body.parked).toEqual({ revision: 1, reason: 'tampered' })
    expect((await report('found-late', 'paid')).body.code).toBe('unreadable')
  })
})

describe('the stream of what operators did', () => {
  it('takes no order once it was tampered with', async () => {
    await tampering.sql(`INSERT INTO waybill_read.parked VALUES ('operation-sound', 3, 999, 'fold_failed', '')`)
    await send('POST', `${base}/parked/operation-sound/retry`, {})
    await tampering.change('projection-operations', 0, 'data', (text) => text.replace('sound', 'other'))
    await rebuild()
    await tampering.sql(`INSERT INTO waybill_read.parked VALUES ('operation-sound', 3, 999, 'fold_failed', '')`)
    const refused = await send('POST', `${base}/parked/operation-sound/retry`, {})
    expect([refused.status, refused.body.code, refused.body.revision]).toEqual([409, 'tampered', 0])
    expect(refused.body.detail).toContain('The hash chain of projection-operations is broken at event 0')
  })
})
