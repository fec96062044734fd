// Every route the server has, taken from its own list, with every kind of caller.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Caller, Role } from '../../src/access/access.ts'
import { type ApiHarness, linear, startApi } from '../api/apiHarness.ts'

/** Who may call what, said once more and by hand: a route that is not here fails the test. */
const expected: Readonly<Record<string, 'open' | Role | readonly Role[]>> = {
  'POST /v1/operations': 'service',
  'POST /v1/operations/:id/reports': 'service',
  'POST /v1/commands': 'service',
  'PUT /v1/pipelines/:name': 'definer',
  'GET /v1/operations': 'viewer',
  'GET /v1/operations/:id': 'viewer',
  'GET /v1/operations/:id/commands/:key': ['service', 'viewer'],
  'GET /v1/operations/stream': 'viewer',
  'GET /v1/pipelines': 'viewer',
  'GET /v1/pipelines/:name': 'viewer',
  'GET /v1/pipelines/:name/versions/:version': 'viewer',
  'GET /v1/stats': 'viewer',
  'GET /metrics': 'viewer',
  'GET /v1/operations/:id/events': 'auditor',
  'GET /v1/events': 'auditor',
  'GET /v1/audit': 'auditor',
  'GET /v1/events/stream': 'auditor',
  'GET /v1/projections': 'viewer',
  'GET /v1/projections/:name': 'viewer',
  'GET /v1/projections/:name/parked': 'viewer',
  'GET /v1/projections/:name/rebuilds/:id': 'viewer',
  'POST /v1/projections/:name/rebuild': 'operator',
  'POST /v1/projections/:name/pause': 'operator',
  'POST /v1/projections/:name/resume': 'operator',
  'POST /v1/projections/:name/parked/:stream/retry': 'operator',
  'POST /v1/projections/:name/parked/:stream/skip': 'operator',
  'POST /v1/keys': 'operator',
  'GET /v1/keys': 'operator',
  'DELETE /v1/keys/:name': 'operator',
  'GET /': 'open',
  'GET /livez': 'open',
  'GET /readyz': 'open',
}

const roles: readonly Role[] = ['service', 'definer', 'viewer', 'auditor', 'operator']

let api: ApiHarness
const keys = new Map<Role | 'revoked', string>()

beforeAll(async () => {
  api = await startApi()
  await api.send('PUT', '/v1/pipelines/linear', linear)
  const nobody = api.access.authenticate(undefined)
  const operator = await make('operator', ['operator'], nobody)
  const by = api.access.authenticate(`Bearer ${operator}`)
  for (const role of roles) keys.set(role, role === 'operator' ? operator : await make(role, [role], by))
  keys.set('revoked', await make('gone', ['operator'], by))
  if (by !== null) expect(await api.access.revoke('gone', by)).toEqual({ kind: 'revoked' })
})
afterAll(() => api.close())

async function make(name: string, given: readonly Role[], by: Caller | null): Promise<string> {
  if (by === null) throw new Error('nobody may make a key')
  const result = await api.access.create({ name: `${name}-key`.replace('gone-key', 'gone'), roles: given }, by)
  if (result.kind !== 'created') throw new Error(`not created: ${result.refusal}`)
  return result.key
}

/** Asks a route, with nothing more than its path: what comes after the guard is refused or not found, but never 401 or 403. */
async function ask(route: string, authorization?: string) {
  const [method = '', path = ''] = route.split(' ')
  const url = path
    .replace(':id', 'nobody-1')
    .replace(':name', 'nothing')
    .replace(':version', '1')
    .replace(':key', 'none')
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
  // Streams would stay open: a position nobody can have ends them with a problem.
  const query = url.endsWith('/stream') ? '?after=void' : ''
  const body = method === 'POST' || method === 'PUT' ? {} : undefined
  if (url === '/v1/commands') headers['content-type'] = 'application/x-ndjson'
  return api.send(method as 'GET', `${url}${query}`, body, headers)
}

describe('every route', () => {
  test('says who may call it, as written down here', () => {
    const registered = api.routes.filter((route) => !route.startsWith('HEAD '))
    expect(registered.length).toBeGreaterThan(15)
    for (const route of registered) expect(expected[route], route).toBeDefined()
  })

  test('lets in the callers with its role and operators, and no others', async () => {
    for (const route of api.routes) {
      const needed = expected[route.replace(/^HEAD/, 'GET')]
      for (const role of roles) {
        const answer = await ask(route, `Bearer ${keys.get(role)}`)
        const allowed = needed === 'open' || [needed].flat().includes(role) || role === 'operator'
        if (allowed) expect([401, 403], `${route} as ${role}: ${answer.text}`).not.toContain(answer.status)
        else expect(answer.status, `${route} as ${role}`).toBe(403)
        if (!allowed && !route.startsWith('HEAD')) expect(answer.body.code).toBe('forbidden')
      }
    }
  })

  test('asks for a key: none, a revoked one, a strange one and a malformed header are all answered alike', async () => {
    const key = keys.get('operator') ?? ''
    const wrongSecret = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`
    const malformed = [key, `Basic ${key}`, 'Bearer', 'Bearer ', `Bearer ${key} ${key}`, `Bearer ${key},Bearer ${key}`]
      .concat([
        '',
        'Bearer \u00e4\u00f6',
        `Bearer ${'x'.repeat(4_000)}`,
        `Bearer ${key}=`,
        `Bearer ${key.slice(0, 30)}`,
      ])
      .concat([`Bearer ${key.toUpperCase()}`])
    const headers = [undefined, `Bearer ${keys.get('revoked')}`, `Bearer ${wrongSecret}`, ...malformed]
    for (const route of api.routes) {
      const open = expected[route.replace(/^HEAD/, 'GET')] === 'open'
      const texts = new Set<string>()
      for (const header of headers) {
        const answer = await ask(route, header)
        if (open) {
          expect([401, 403], `${route} with ${header}`).not.toContain(answer.status)
          continue
        }
        expect(answer.status, `${route} with ${header}`).toBe(401)
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer\b/)
        texts.add(answer.text)
      }
      if (!open) expect([...texts], route).toHaveLength(1)
    }
  })

  test('never shows a key: not in an answer that refuses it', async () => {
    const key = keys.get('viewer') ?? ''
    for (const route of api.routes) {
      expect((await ask(route, `Bearer ${key}`)).text).not.toContain(key)
      expect((await ask(route, `Bearer ${key}x`)).text).not.toContain(key)
    }
  })
})

describe('what is not there', () => {
  test('looks to one who may not see it like what is', async () => {
    const service = { authorization: `Bearer ${keys.get('service')}` }
    const report = { service: 's', status: 'a', pipeline: 'any' }
    expect((await api.send('POST', '/v1/operations/there-1/reports', report, service)).status).toBe(201)
    for (const path of ['', '/events']) {
      const [there, missing, invalid] = await Promise.all(
        ['there-1', 'missing-1', '..%2f!'].map((id) =>
          api.send('GET', `/v1/operations/${id}${path}`, undefined, service),
        ),
      )
      expect([there?.status, missing?.status, invalid?.status]).toEqual([403, 403, 403])
      expect(missing?.body).toEqual({ ...there?.body, instance: missing?.body.instance })
      expect(invalid?.body).toEqual({ ...there?.body, instance: invalid?.body.instance })
      const names = (headers: object) => Object.keys(headers).filter((name) => name !== 'date')
      expect(names(missing?.headers ?? {})).toEqual(names(there?.headers ?? {}))
    }
  })

  test('is decided before anything is looked up', async () => {
    const looks: string[] = []
    const watched = await startApi({
      wrapLog: (log) => ({
        ...log,
        logId: log.logId,
        append: (batch) => log.append(batch),
        readEvent: (stream, id) => log.readEvent(stream, id),
        subscribe: (options) => log.subscribe(options),
        close: () => log.close(),
        head: () => log.head(),
        readAll: (options) => log.readAll(options),
        readStream(stream, options) {
          looks.push(stream)
          return log.readStream(stream, options)
        },
      }),
    })
    // The start asks the log what it knows of keys.
    looks.length = 0
    try {
      const answer = await watched.send('GET', '/v1/operations/some-1', undefined, { authorization: 'Bearer nothing' })
      expect(answer.status).toBe(401)
      expect(looks).toEqual([])
      expect((await watched.send('GET', '/v1/operations/some-1')).status).toBe(404)
      expect(looks).toEqual(['operation-some-1'])
    } finally {
      await watched.close()
    }
  })
})

describe('/openapi.json and /docs', () => {
  test('are for everybody', async () => {
    expect((await api.send('GET', '/docs')).status).toBe(200)
    const document = (await api.send('GET', '/openapi.json')).body
    expect(document.components.securitySchemes.key).toMatchObject({ type: 'http', scheme: 'bearer' })
    expect(document.paths['/v1/events'].get.security).toEqual([{ key: ['auditor'] }])
    expect(document.paths['/livez'].get.security).toEqual([])
    expect(document.paths['/v1/events'].get.responses['401'].headers).toHaveProperty('WWW-Authenticate')
  })
})

describe('the actor', () => {
  test('is the key that sent the command, one by one and in bulk', async () => {
    const headers = { authorization: `Bearer ${keys.get('service')}` }
    const audit = { authorization: `Bearer ${keys.get('auditor')}` }
    await api.send('POST', '/v1/operations/by-1/reports', { service: 's', status: 'a', pipeline: 'any' }, headers)
    const line = { type: 'ReportStatus', operation: 'by-1', service: 's', status: 'b' }
    await api.send('POST', '/v1/commands', `${JSON.stringify(line)}\n`, {
      ...headers,
      'content-type': 'application/x-ndjson',
    })
    const { events } = (await api.send('GET', '/v1/operations/by-1/events', undefined, audit)).body
    expect(events).toHaveLength(3)
    for (const event of events) expect(event.metadata.actor).toBe('service-key')
    const definer = { authorization: `Bearer ${keys.get('definer')}` }
    await api.send('PUT', '/v1/pipelines/by-definer', linear, definer)
    const all = (await api.send('GET', '/v1/events?pageSize=1000', undefined, audit)).body.events
    const defined = all.filter((event: { stream: string }) => event.stream === 'pipeline-by-definer')
    expect(defined.map((event: { metadata: { actor: string } }) => event.metadata.actor)).toEqual(['definer-key'])
  })

  test('makes generated ids its own: the same key of two callers opens two operations, of one caller one', async () => {
    const open = (role: Role) =>
      api.send(
        'POST',
        '/v1/operations',
        { pipeline: 'linear' },
        {
          authorization: `Bearer ${keys.get(role)}`,
          'idempotency-key': 'same',
        },
      )
    const [first, again, other] = [await open('service'), await open('service'), await open('operator')]
    expect([first.status, again.status, other.status]).toEqual([201, 201, 201])
    expect(again.body.operation).toBe(first.body.operation)
    expect(other.body.operation).not.toBe(first.body.operation)
  })
})
