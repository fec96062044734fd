import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
let keys: Record<'service' | 'definer' | 'viewer' | 'auditor' | 'operator', { authorization: string }>
const readMost = { bytes: 0 }

beforeAll(async () => {
  api = await startApi({
    wrapLog: (log) => ({
      ...log,
      logId: log.logId,
      append: (batch) => log.append(batch),
      head: () => log.head(),
      readEvent: (stream, id) => log.readEvent(stream, id),
      readAll: (options) => log.readAll(options),
      subscribe: (options) => log.subscribe(options),
      close: () => log.close(),
      async readStream(stream, options) {
        if (stream === 'operation-wide')
          readMost.bytes = Math.max(readMost.bytes, options.bytesMax ?? Number.POSITIVE_INFINITY)
        return log.readStream(stream, options)
      },
    }),
  })
  const made = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
  const operator = { authorization: `Bearer ${made.body.key}` }
  const keyOf = async (...roles: string[]) => {
    const { body } = await api.send('POST', '/v1/keys', { name: roles.join('-'), roles }, operator)
    return { authorization: `Bearer ${body.key}` }
  }
  keys = {
    service: await keyOf('service'),
    definer: await keyOf('definer'),
    viewer: await keyOf('service', 'viewer'),
    auditor: await keyOf('service', 'auditor'),
    operator,
  }
})
afterAll(() => api.close())

const report = (id: string, more: object, headers: Record<string, string>) =>
  api.send('POST', `/v1/operations/${id}/reports`, { service: 's', pipeline: 'any', ...more }, headers)

test('what happened since is told to whom may read events, and to nobody else', async () => {
  await report('secret', { status: 'a', data: { secret: 'of another service' } }, keys.operator)
  for (const [role, isTold] of [
    ['service', false],
    ['viewer', false],
    ['auditor', true],
    ['operator', true],
  ] as const) {
    const refused = await report('secret', { status: 'b' }, { ...keys[role], 'if-match': '"9"' })
    expect([refused.status, refused.body.revision], role).toEqual([412, 1])
    expect(refused.body.events !== undefined, role).toBe(isTold)
    const early = await report('secret', { status: 'b' }, { ...keys[role], 'if-match': '"0"' })
    expect(early.text.includes('of another service'), role).toBe(isTold)
  }
  await api.send('PUT', '/v1/pipelines/told', { statuses: ['a', 'b'], outOfOrder: 'hold' }, keys.operator)
  const pipeline = { statuses: ['a', 'c'], outOfOrder: 'hold' }
  const refused = await api.send('PUT', '/v1/pipelines/told', pipeline, { ...keys.definer, 'if-match': '"7"' })
  expect([refused.status, refused.body.events]).toEqual([412, undefined])
})

test('no line of a bulk request tells it', async () => {
  const line = { type: 'ReportStatus', operation: 'secret', service: 's', status: 'b', expectedRevision: 0 }
  const headers = { ...keys.operator, 'content-type': 'application/x-ndjson' }
  const answer = await api.send('POST', '/v1/commands', `${JSON.stringify(line)}\n`, headers)
  expect(answer.text).toContain('revision_mismatch')
  expect(answer.text).not.toContain('of another service')
})

test('however large the events are, a few hundred kilobytes of them are read and told', async () => {
  for (let n = 0; n < 12; n += 1) {
    await report('wide', { status: `s${n}`, data: { text: `${n}`.padEnd(100_000, 'x') } }, keys.operator)
  }
  readMost.bytes = 0
  const refused = await report('wide', { status: 'late' }, { ...keys.operator, 'if-match': '"0"' })
  expect(refused.status).toBe(412)
  expect(refused.body.events.length).toBeGreaterThan(0)
  expect(refused.text.length).toBeLessThan(300_000)
  expect(readMost.bytes).toBeGreaterThan(0)
  expect(readMost.bytes).toBeLessThanOrEqual(256 * 1024)
})
