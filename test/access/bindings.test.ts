// Keys that may report for some services, and into some pipelines, only; and who may define pipelines.
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { makeApiKey } from '../../src/access/apiKey.ts'
import { openAccess } from '../../src/access/openAccess.ts'
import { type ApiHarness, linear, linesOf, startApi } from '../api/apiHarness.ts'
import { createMigratedDatabase } from '../support/database.ts'

interface KeyOptions {
  readonly services?: readonly string[]
  readonly pipelines?: readonly string[]
}

let api: ApiHarness
let admin: Record<string, string>

beforeAll(async () => {
  api = await startApi()
  const made = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
  admin = { authorization: `Bearer ${made.body.key}` }
  for (const name of ['invoice', 'claim']) await api.send('PUT', `/v1/pipelines/${name}`, linear, admin)
})
afterAll(() => api.close())

async function keyOf(name: string, roles: readonly string[], binding: KeyOptions = {}) {
  const made = await api.send('POST', '/v1/keys', { name, roles, ...binding }, admin)
  expect(made.status, made.text).toBe(201)
  return { authorization: `Bearer ${made.body.key}` }
}

const report = (service: string, status: string, pipeline?: string) => ({
  service,
  status,
  ...(pipeline === undefined ? {} : { pipeline }),
})

const eventsOf = async (operation: string) =>
  (await api.send('GET', `/v1/operations/${operation}/events`, undefined, admin)).body.events

describe('a key that is bound', () => {
  test('says what it is bound to when it is made and listed, and an unbound one says nothing', async () => {
    await keyOf('said', ['service'], { services: ['ocr', 'scan ä'], pipelines: ['invoice'] })
    await keyOf('free', ['service'])
    const { keys } = (await api.send('GET', '/v1/keys', undefined, admin)).body
    const listed = (name: string) => keys.find((key: { name: string }) => key.name === name)
    expect(listed('said')).toMatchObject({ roles: ['service'], services: ['ocr', 'scan ä'], pipelines: ['invoice'] })
    expect(listed('free')).not.toHaveProperty('services')
    expect(listed('free')).not.toHaveProperty('pipelines')
  })

  test('is refused where the binding makes no sense, with the place', async () => {
    const bodies = [
      [{ roles: ['service'], services: [] }, '/services'],
      [{ roles: ['service'], services: ['a', 'a'] }, '/services'],
      [{ roles: ['service'], services: Array.from({ length: 17 }, (_, n) => `s${n}`) }, '/services'],
      [{ roles: ['service'], services: ['\u0000'] }, '/services/0'],
      [{ roles: ['service'], pipelines: ['no name'] }, '/pipelines/0'],
      [{ roles: ['service'], pipelines: ['a', 'a'] }, '/pipelines'],
      [{ roles: ['operator'], services: ['a'] }, '/services'],
      [{ roles: ['service', 'operator'], pipelines: ['a'] }, '/pipelines'],
      [{ roles: ['definer'], services: ['a'] }, '/services'],
      [{ roles: ['viewer'], pipelines: ['a'] }, '/pipelines'],
    ] as const
    for (const [body, pointer] of bodies) {
      const answer = await api.send('POST', '/v1/keys', { name: 'senseless', ...body }, admin)
      expect([answer.status, answer.body.errors?.[0]?.pointer], JSON.stringify(body)).toEqual([400, pointer])
    }
  })

  test('to a service reports for that one, and for no other', async () => {
    const ocr = await keyOf('ocr', ['service'], { services: ['ocr', 'scan'] })
    for (const service of ['ocr', 'scan']) {
      const answer = await api.send('POST', `/v1/operations/for-${service}/reports`, report(service, 'a', 'any'), ocr)
      expect(answer.status, answer.text).toBe(201)
    }
    const refused = await api.send('POST', '/v1/operations/for-ocr/reports', report('erp', 'b'), ocr)
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
    expect(refused.body.detail).toContain('"erp"')
    const opening = await api.send('POST', '/v1/operations/for-erp/reports', report('erp', 'b', 'any'), ocr)
    expect([opening.status, opening.body.code]).toEqual([403, 'forbidden'])
    expect(await eventsOf('for-ocr')).toHaveLength(2)
    expect((await api.send('GET', '/v1/operations/for-erp?consistency=strong', undefined, admin)).status).toBe(404)
  })

  test('to a pipeline opens there, and reports there, and nowhere else: also where the report names none', async () => {
    const key = await keyOf('into-invoice', ['service'], { pipelines: ['invoice'] })
    const post = (path: string, body: unknown, headers: Record<string, string> = key) =>
      api.send('POST', `/v1/operations${path}`, body, headers)
    expect((await post('', { id: 'in-1', pipeline: 'invoice' })).status).toBe(201)
    expect((await post('/in-1/reports', report('s', 'status1'))).status).toBe(200)
    expect((await post('/in-2/reports', report('s', 'status1', 'invoice'))).status).toBe(201)
    expect((await post('', { id: 'out-1', pipeline: 'claim' }, admin)).status).toBe(201)
    const refused = [
      await post('', { id: 'out-2', pipeline: 'claim' }),
      await post('', { id: 'out-2', pipeline: 'not-there' }),
      await post('/out-2/reports', report('s', 'status1', 'claim')),
      await post('/out-1/reports', report('s', 'status1', 'claim')),
      await post('/out-1/reports', report('s', 'status1')),
      await api.send('POST', '/v1/operations/out-1/reports', report('s', 'status1'), { ...key, 'if-match': '"7"' }),
    ]
    for (const { status, body } of refused) {
      expect([status, body.code], JSON.stringify(body)).toEqual([403, 'forbidden'])
      expect(body.detail).toMatch(/"(claim|not-there)"/)
      expect(body).not.toHaveProperty('revision')
      expect(body).not.toHaveProperty('events')
    }
    expect(await eventsOf('out-1')).toHaveLength(1)
    expect((await api.send('GET', '/v1/operations/out-2?consistency=strong', undefined, admin)).status).toBe(404)
    // To it, what is not there is not there.
    expect((await post('/in-3/reports', report('s', 'status1'))).body.code).toBe('not_found')
  })

  test('learns nothing of an idempotency key in another pipeline, neither a receipt nor that it was used', async () => {
    const key = await keyOf('curious', ['service'], { pipelines: ['invoice'] })
    const used = { 'idempotency-key': 'used' }
    const body = report('s', 'status1')
    await api.send('POST', '/v1/operations', { id: 'kept-1', pipeline: 'claim' }, admin)
    await api.send('POST', '/v1/operations/kept-1/reports', body, { ...admin, ...used })
    for (const sent of [body, report('s', 'status2')]) {
      const answer = await api.send('POST', '/v1/operations/kept-1/reports', sent, { ...key, ...used })
      expect([answer.status, answer.body.code]).toEqual([403, 'forbidden'])
    }
    const receipt = (headers: Record<string, string>) =>
      api.send('GET', '/v1/operations/kept-1/commands/used', undefined, headers)
    expect([(await receipt(key)).status, (await receipt(key)).body.code]).toEqual([403, 'forbidden'])
    expect((await receipt(admin)).status).toBe(200)
    const reader = await keyOf('reader', ['service', 'viewer'], { pipelines: ['invoice'] })
    expect((await receipt(reader)).status).toBe(200)
  })

  test('is held to it line by line in bulk, and the other lines are carried out', async () => {
    const key = await keyOf('in-bulk', ['service'], { services: ['ocr'], pipelines: ['invoice'] })
    await api.send('POST', '/v1/operations', { id: 'bulk-out', pipeline: 'claim' }, admin)
    const line = (operation: string, body: object) => JSON.stringify({ type: 'ReportStatus', operation, ...body })
    const lines = [
      line('bulk-1', report('ocr', 'status1', 'invoice')),
      line('bulk-1', report('erp', 'status2')),
      line('bulk-2', report('ocr', 'status1', 'claim')),
      line('bulk-out', report('ocr', 'status1')),
      JSON.stringify({ type: 'OpenOperation', operation: 'bulk-3', pipeline: 'claim' }),
      JSON.stringify({ type: 'OpenOperation', operation: 'bulk-4', pipeline: 'invoice' }),
      line('bulk-1', report('ocr', 'status2')),
    ]
    const answer = await api.send('POST', '/v1/commands', lines.join('\n'), {
      ...key,
      'content-type': 'application/x-ndjson',
    })
    const results = linesOf(answer.text)
    expect(results.map(({ httpStatus }) => httpStatus)).toEqual([201, 403, 403, 403, 403, 201, 200])
    for (const { problem, operation } of results.slice(1, 5)) {
      expect(problem.code).toBe('forbidden')
      expect(operation).toMatch(/^bulk-/)
    }
    expect(results[1].problem.detail).toContain('"erp"')
    expect(results[3].problem.detail).toContain('"claim"')
    expect(await eventsOf('bulk-1')).toHaveLength(3)
    expect(await eventsOf('bulk-out')).toHaveLength(1)
  })

  test('defines only its pipelines, and only with the role definer', async () => {
    const definer = await keyOf('definer', ['definer'], { pipelines: ['mine'] })
    const put = (name: string, headers: Record<string, string>) =>
      api.send('PUT', `/v1/pipelines/${name}`, linear, headers)
    expect((await put('mine', definer)).status).toBe(201)
    const refused = await put('claim', definer)
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
    expect(refused.body.detail).toContain('"claim"')
    const service = await keyOf('no-definer', ['service'], { pipelines: ['mine'] })
    expect((await put('mine', service)).body.detail).toContain('definer')
  })
})

describe('keys that older code made', () => {
  const insert = (columns: string, values: string) =>
    `INSERT INTO waybill_access.keys (id, name, digest, created_at, created_by, ${columns}) VALUES ($1, $2, $3, now(), 'x', ${values})`

  async function database() {
    const made = await createMigratedDatabase()
    onTestFinished(() => made.drop({ allowOpen: true }))
    const client = new pg.Client({ connectionString: made.connectionString })
    await client.connect()
    onTestFinished(() => client.end())
    return { client, connectionString: made.connectionString }
  }

  test('keep defining pipelines, as the role service let them; keys of today have the roles they were given', async () => {
    const { client, connectionString } = await database()
    const key = makeApiKey()
    // What the code before this migration says, and goes on saying on nodes that still run it.
    await client.query(insert('roles', `ARRAY['service', 'viewer']`), [key.id, 'old', key.digest])
    const access = await openAccess({ connectionString, anonymousAllowed: true, operatorKey: 'c'.repeat(40) })
    onTestFinished(() => access.close())
    const operator = access.authenticate(`Bearer ${'c'.repeat(40)}`)
    if (operator === null) throw new Error('the configured key is not known')
    await access.create({ name: 'new', roles: ['service'] }, operator)
    const listed = (await access.list()).map(({ name, roles }) => [name, roles])
    expect(listed).toEqual([
      ['new', ['service']],
      ['old', ['service', 'definer', 'viewer']],
    ])
  })

  test('are met half-way: code that knows no binding finds no role in a bound key that lets it report', async () => {
    const { client, connectionString } = await database()
    const access = await openAccess({ connectionString, anonymousAllowed: true, operatorKey: 'c'.repeat(40) })
    onTestFinished(() => access.close())
    const operator = access.authenticate(`Bearer ${'c'.repeat(40)}`)
    if (operator === null) throw new Error('the configured key is not known')
    const binding = { services: ['ocr'] }
    const made = await access.create({ name: 'bound', roles: ['viewer', 'service'], ...binding }, operator)
    expect(made).toMatchObject({ kind: 'created', record: { roles: ['viewer', 'service'], services: ['ocr'] } })
    const { rows } = await client.query('SELECT roles FROM waybill_access.keys')
    expect(rows).toEqual([{ roles: ['viewer', 'bound_service'] }])
    // Nor can a row come about that binds and lets older code report all the same.
    const key = makeApiKey()
    const values = [key.id, 'forged', key.digest]
    const bound = `ARRAY['service'], ARRAY['ocr'], true`
    await expect(client.query(insert('roles, services, definer_stated', bound), values)).rejects.toThrow(
      'keys_bound_apart',
    )
    await expect(client.query(insert('roles', `ARRAY['bound_service']`), values)).rejects.toThrow('keys_bound_apart')
  })
})
