// What operators did, as auditors see it; and keys whose database was emptied, restored or is away.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { refreshMsDefault } from '../../src/access/openAccess.ts'
import { type ApiHarness, eventually, startApi } from '../api/apiHarness.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const configured = 'c'.repeat(40)

let api: ApiHarness
beforeEach(async () => {
  api = await startApi({ access: { refreshMs: 20 } })
})
afterEach(() => api.close())

async function make(name: string, roles: readonly string[], headers: Record<string, string> = {}) {
  const made = await api.send('POST', '/v1/keys', { name, roles }, headers)
  expect(made.status, made.text).toBe(201)
  return made.body as { readonly key: string; readonly id: string }
}

async function acts(headers: Record<string, string>) {
  const { body } = await api.send('GET', '/v1/audit', undefined, headers)
  return body.events.map((event: { data: object; metadata: { actor: string } }) => ({
    ...event.data,
    actor: event.metadata.actor,
  }))
}

describe('GET /v1/audit', () => {
  test('says who made and revoked keys', async () => {
    const admin = await make('admin', ['operator'])
    const ocr = await make('ocr', ['service'], bearer(admin.key))
    await make('eye', ['auditor'], bearer(admin.key)).then(async (eye) => {
      expect((await api.send('DELETE', '/v1/keys/ocr', undefined, bearer(admin.key))).status).toBe(204)
      const from = { key: admin.id, address: '127.0.0.1' }
      expect(await acts(bearer(eye.key))).toEqual([
        {
          action: 'keys.create',
          target: 'admin',
          key: admin.id,
          roles: ['operator'],
          by: { key: null, address: '127.0.0.1' },
          actor: 'anonymous',
        },
        { action: 'keys.create', target: 'ocr', key: ocr.id, roles: ['service'], by: from, actor: 'admin' },
        { action: 'keys.create', target: 'eye', key: eye.id, roles: ['auditor'], by: from, actor: 'admin' },
        { action: 'keys.revoke', target: 'ocr', key: ocr.id, by: from, actor: 'admin' },
      ])
    })
  })

  test('says who paused, resumed, rebuilt, retried and skipped, and under which request', async () => {
    const admin = await make('admin', ['operator'])
    const send = (path: string, body: object = {}) =>
      api.send('POST', `/v1/projections/operations/${path}`, body, {
        ...bearer(admin.key),
        'idempotency-key': `for-${path}`,
      })
    expect((await send('pause')).status).toBe(200)
    expect((await send('resume')).status).toBe(200)
    expect((await send('rebuild')).status).toBe(202)
    expect((await send('parked/operation-a/retry')).status).toBe(409)
    expect((await send('parked/operation-a/skip', { revision: 3, reason: 'it is broken' })).status).toBe(409)
    // What is refused before anything is asked of a projection is no act.
    expect((await send('parked/operation-a/skip', { revision: -1, reason: 'x' })).status).toBe(400)
    const { body } = await api.send('GET', '/v1/audit?fromRevision=1', undefined, bearer(admin.key))
    const seen = body.events.map(({ data, metadata }: { data: object; metadata: { command: string } }) => [
      metadata.command,
      data,
    ])
    const by = { key: admin.id, address: '127.0.0.1' }
    expect(seen).toEqual([
      ['for-pause', { action: 'projections.pause', target: 'operations', by }],
      ['for-resume', { action: 'projections.resume', target: 'operations', by }],
      ['for-rebuild', { action: 'projections.rebuild', target: 'operations', by }],
      [
        'for-parked/operation-a/retry',
        { action: 'projections.retry', target: 'operations', stream: 'operation-a', by },
      ],
      [
        'for-parked/operation-a/skip',
        {
          action: 'projections.skip',
          target: 'operations',
          stream: 'operation-a',
          revision: 3,
          reason: 'it is broken',
          by,
        },
      ],
    ])
  })

  test('is read in pages, backwards too', async () => {
    const admin = await make('admin', ['operator'])
    for (const name of ['a', 'b', 'c']) await make(name, ['viewer'], bearer(admin.key))
    const ask = async (query: string) =>
      (await api.send('GET', `/v1/audit?${query}`, undefined, bearer(admin.key))).body
    const page = await ask('direction=backwards&pageSize=3')
    expect(page.events.map(({ data }: { data: { target: string } }) => data.target)).toEqual(['c', 'b', 'a'])
    const rest = await ask(`direction=backwards&pageSize=3&fromRevision=${page.next}`)
    expect(rest.events.map(({ data }: { data: { target: string } }) => data.target)).toEqual(['admin'])
    expect(rest.next).toBeUndefined()
  })

  test('is projected as nothing: the read model goes past it', async () => {
    await make('admin', ['operator'])
    const head = await api.log.head()
    await eventually(
      async () => api.projections.readModel.position(),
      (position) => position >= head,
    )
    expect(api.errors).toEqual([])
  })
})

describe('when the keys are gone', () => {
  test('an emptied database opens the service to nobody; the configured key is the way back', async () => {
    await api.close()
    api = await startApi({ access: { refreshMs: 20, operatorKey: configured } })
    const admin = await make('admin', ['operator'], bearer(configured))
    await api.sql('DELETE FROM waybill_access.keys; UPDATE waybill_access.changes SET counter = 0')
    const lost = await eventually(
      () => api.send('GET', '/v1/stats'),
      ({ status }) => status === 503,
    )
    expect(lost.body).toMatchObject({
      code: 'keys_unavailable',
      detail: expect.stringContaining('emptied or restored'),
    })
    for (const route of ['/v1/operations', '/v1/audit', '/metrics']) {
      expect((await api.send('GET', route, undefined, bearer(admin.key))).status, route).toBe(503)
    }
    expect((await api.send('GET', '/livez')).status).toBe(200)
    await make('again', ['operator'], bearer(configured))
    expect((await api.send('GET', '/v1/stats', undefined, bearer(admin.key))).status).toBe(401)
  })

  test('a service without keys that starts on a log with keys answers nobody', async () => {
    const { log } = api
    await make('admin', ['operator'])
    const empty = await startApi({ wrapLog: () => log })
    expect(empty.access.authenticate(undefined)).toBeNull()
    expect(empty.access.closed()).toBe('lost')
    const refused = await empty.send('POST', '/v1/keys', { name: 'thief', roles: ['operator'] })
    expect([refused.status, refused.body.code]).toEqual([503, 'keys_unavailable'])
    await empty.close()
  })

  test('a revoked key that a restore brings back stays revoked', async () => {
    const admin = await make('admin', ['operator'])
    const gone = await make('gone', ['operator'], bearer(admin.key))
    expect((await api.send('DELETE', '/v1/keys/gone', undefined, bearer(admin.key))).status).toBe(204)
    await api.sql(
      "UPDATE waybill_access.keys SET revoked_at = NULL, revoked_by = NULL WHERE name = 'gone'; " +
        'UPDATE waybill_access.changes SET counter = counter + 1',
    )
    const restored = await make('other', ['viewer'], bearer(admin.key))
    expect((await api.send('GET', '/v1/stats', undefined, bearer(restored.key))).status).toBe(200)
    expect((await api.send('GET', '/v1/stats', undefined, bearer(gone.key))).status).toBe(401)
    const { body } = await api.send('GET', '/v1/keys', undefined, bearer(admin.key))
    expect(body.keys.map(({ name }: { name: string }) => name)).toEqual(['admin', 'other'])
  })

  test('keys of before the log said anything of keys are put on record when they are found', async () => {
    await api.sql(
      `INSERT INTO waybill_access.keys (id, name, roles, digest, created_at, created_by)
       VALUES ('00', 'old', '{operator}', sha256('x'), now(), 'anonymous'); UPDATE waybill_access.changes SET counter = 1`,
    )
    const seen = await eventually(
      () => api.trail.keys(),
      ({ everMade }) => everMade,
    )
    expect(seen.revoked.size).toBe(0)
  })
})

test('a change that cannot be put on record is not made', async () => {
  await api.close()
  const silent = {
    created: () => Promise.reject(new Error('away')),
    revoked: async () => undefined,
    found: async () => undefined,
    learn: async () => ({ everMade: false, revoked: new Set<string>() }),
  }
  api = await startApi({ access: { trail: silent } })
  const refused = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
  expect([refused.status, refused.body.code]).toEqual([503, 'log_unavailable'])
  expect(api.access.hasKeys()).toBe(false)
  expect(api.access.authenticate(undefined)?.name).toBe('anonymous')
})

test('while the database is away keys are taken for as long as is configured, then nobody is', async () => {
  let nowMs = 0
  let away = false
  await api.close()
  api = await startApi({
    access: {
      refreshMs: 20,
      operatorKey: configured,
      keysAgeMsMax: 60_000,
      monotonicMs: () => nowMs,
      admit: async () => {
        if (away) throw new Error('away')
      },
    },
  })
  const admin = await make('admin', ['operator'], bearer(configured))
  const ask = (key: string) => api.send('GET', '/v1/pipelines', undefined, bearer(key))
  away = true
  await api.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'waybill access'`,
  )
  nowMs += 59_000
  expect((await ask(admin.key)).status).toBe(200)
  nowMs += refreshMsDefault + 1
  const stale = await eventually(
    () => ask(admin.key),
    ({ status }) => status === 503,
  )
  expect(stale.body).toMatchObject({ code: 'keys_unavailable', detail: expect.stringContaining('revoked since') })
  expect((await ask(configured)).status).toBe(200)
  away = false
  await eventually(
    () => ask(admin.key),
    ({ status }) => status === 200,
  )
})
