import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, linear, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  expect((await api.send('PUT', '/v1/pipelines/invoice', linear)).status).toBe(201)
  expect((await api.send('PUT', '/v1/pipelines/strict', { ...linear, outOfOrder: 'reject' })).status).toBe(201)
  expect((await api.send('PUT', '/v1/pipelines/patient', { ...linear, outOfOrder: 'hold' })).status).toBe(201)
})
afterAll(() => api.close())

const open = (id: string, pipeline = 'invoice', headers = {}) =>
  api.send('POST', '/v1/operations', { id, pipeline }, headers)
const report = (id: string, status: string, more = {}, headers = {}) =>
  api.send('POST', `/v1/operations/${id}/reports`, { service: 'ocr', status, ...more }, headers)

describe('opening an operation', () => {
  test('answers 201 with Location, ETag and a receipt, under a key of the server', async () => {
    const answer = await open('open-1')
    expect(answer.status).toBe(201)
    expect(answer.headers).toMatchObject({ location: '/v1/operations/open-1', etag: '"0"' })
    expect(answer.body).toMatchObject({ operation: 'open-1', outcome: 'opened', revision: 0 })
    expect(answer.body.command).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('without an id makes one of the key, so that a retry finds what it opened', async () => {
    const headers = { 'idempotency-key': 'make-one' }
    const first = await api.send('POST', '/v1/operations', { pipeline: 'invoice' }, headers)
    const second = await api.send('POST', '/v1/operations', { pipeline: 'invoice' }, headers)
    expect(first.status).toBe(201)
    expect(first.body.operation).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(second.text).toBe(first.text)
    const third = await api.send('POST', '/v1/operations', { pipeline: 'invoice' })
    expect(third.body.operation).not.toBe(first.body.operation)
  })

  test('an id that exists is 409 operation_exists, and the key comes back', async () => {
    await open('open-2')
    const answer = await open('open-2')
    expect(answer.status).toBe(409)
    expect(answer.body).toMatchObject({ code: 'operation_exists', operation: 'open-2', instance: '/v1/operations' })
    expect(answer.body.command).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('a pipeline nobody defined is 404, and a version nobody defined', async () => {
    expect((await open('open-3', 'nowhere')).body).toMatchObject({ code: 'not_found', status: 404 })
    const pinned = await api.send('POST', '/v1/operations', { id: 'open-3', pipeline: 'invoice', pipelineVersion: 9 })
    expect(pinned.status).toBe(404)
  })

  test('theme, data and metadata are kept', async () => {
    const body = {
      id: 'open-4',
      pipeline: 'any',
      theme: 'a theme',
      data: { a: { b: [1, null] } },
      metadata: { c: 'd' },
    }
    expect((await api.send('POST', '/v1/operations', body)).status).toBe(201)
    const { pipeline: _, ...kept } = body
    expect((await api.send('GET', '/v1/operations/open-4')).body).toMatchObject(kept)
  })
})

describe('reporting', () => {
  test('applies, with the revision as ETag', async () => {
    await open('rep-1')
    const answer = await report('rep-1', 'status1', {
      data: { total: 1 },
      sequence: 1,
      observedAt: '2026-02-01T01:00:00+01:00',
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe('"1"')
    expect(answer.body).toMatchObject({ outcome: 'applied', revision: 1 })
    const events = await api.send('GET', '/v1/operations/rep-1/events')
    expect(events.body.events[1].data.observedAt).toBe('2026-02-01T00:00:00.000Z')
  })

  test('to an operation that is not there is 404, and opens it when it names a pipeline', async () => {
    expect((await report('rep-2', 'status1')).body).toMatchObject({ code: 'not_found', status: 404 })
    const answer = await report('rep-2', 'status1', { pipeline: 'invoice' })
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe('/v1/operations/rep-2')
    expect(answer.body).toMatchObject({ outcome: 'applied', revision: 1 })
  })

  test('naming another pipeline than the operation runs in is 409', async () => {
    await open('rep-3')
    expect((await report('rep-3', 'status1', { pipeline: 'any' })).body).toMatchObject({
      code: 'pipeline_mismatch',
      status: 409,
    })
  })

  test('a 409 lists the allowed statuses, the current one and the revision', async () => {
    await open('rep-4', 'strict')
    const answer = await report('rep-4', 'status2')
    expect(answer.status).toBe(409)
    expect(answer.body).toMatchObject({
      type: 'urn:waybill:problem:transition_not_allowed',
      code: 'transition_not_allowed',
      track: 'main',
      currentStatus: 'new',
      allowedStatuses: ['status1'],
      revision: 0,
      operation: 'rep-4',
    })
    expect((await report('rep-4', 'nonsense')).body).toMatchObject({ code: 'unknown_status', status: 409 })
  })

  test('ignored and held reports are 200 with a reason', async () => {
    await open('rep-5', 'patient')
    expect((await report('rep-5', 'done')).body).toMatchObject({ outcome: 'held', reason: 'predecessor_missing' })
    expect((await report('rep-5', 'new')).body).toMatchObject({ outcome: 'ignored', reason: 'duplicate', revision: 2 })
    await open('rep-6')
    await report('rep-6', 'status2')
    expect((await report('rep-6', 'status1')).body).toMatchObject({ outcome: 'ignored', reason: 'overtaken' })
    const held = (await api.send('GET', '/v1/operations/rep-5')).body.tracks.main.held
    expect(held).toMatchObject([{ service: 'ocr', status: 'done', reason: 'predecessor_missing' }])
  })

  test('data beyond the limit is 413, and nothing is written', async () => {
    await open('rep-7')
    const answer = await report('rep-7', 'status1', { data: { text: 'x'.repeat(600 * 1024) } })
    expect(answer.body).toMatchObject({ code: 'too_large', status: 413 })
    expect((await api.send('GET', '/v1/operations/rep-7')).body.revision).toBe(0)
  })
})

describe('idempotency keys', () => {
  test('a repeated command gets its first receipt, byte for byte', async () => {
    const headers = { 'idempotency-key': 'k"\\1' }
    const first = await report('key-1', 'a', { pipeline: 'any' }, headers)
    await report('key-1', 'b')
    const again = await report('key-1', 'a', { pipeline: 'any' }, headers)
    expect(again.text).toBe(first.text)
    expect(again.status).toBe(201)
    expect(again.body.command).toBe('k"\\1')
  })

  test('with another body it is 422 key_reused', async () => {
    const headers = { 'idempotency-key': 'k2' }
    await report('key-2', 'a', { pipeline: 'any' }, headers)
    const answer = await report('key-2', 'b', { pipeline: 'any' }, headers)
    expect(answer.body).toMatchObject({ code: 'key_reused', status: 422, command: 'k2' })
  })

  test('the receipt comes before the revision is looked at', async () => {
    const headers = { 'idempotency-key': 'k3', 'if-match': '"0"' }
    await open('key-3')
    expect((await report('key-3', 'status1', {}, headers)).status).toBe(200)
    expect((await report('key-3', 'status1', {}, headers)).status).toBe(200)
  })

  test.each([[''], ['has space'], ['ümlaut'], ['x'.repeat(256)]])('the key %j is refused', async (key) => {
    const answer = await report('key-4', 'a', { pipeline: 'any' }, { 'idempotency-key': key })
    expect(answer.body).toMatchObject({ code: 'invalid', errors: [{ in: 'header', pointer: '/Idempotency-Key' }] })
  })
})

describe('If-Match', () => {
  test('at another revision is 412 with the actual one and what happened since', async () => {
    await open('match-1')
    await report('match-1', 'status1')
    await report('match-1', 'status2')
    const answer = await report('match-1', 'done', {}, { 'if-match': '"0"' })
    expect(answer.status).toBe(412)
    expect(answer.body).toMatchObject({ code: 'revision_mismatch', revision: 2 })
    expect(answer.body.events.map((event: { data: { to: string } }) => event.data.to)).toEqual(['status1', 'status2'])
    expect((await report('match-1', 'done', {}, { 'if-match': '"2"' })).status).toBe(200)
  })

  test('a tag that a proxy has weakened is taken for its own', async () => {
    await open('match-3')
    expect((await report('match-3', 'status1', {}, { 'if-match': 'W/"1"' })).status).toBe(412)
    expect((await report('match-3', 'status1', {}, { 'if-match': 'W/"0"' })).status).toBe(200)
  })

  test('* is any revision: as if nothing was asked, an operation that is not there too', async () => {
    const any = { 'if-match': '*', 'idempotency-key': 'any-1' }
    expect((await report('match-4', 'a', { pipeline: 'any' }, any)).body).toMatchObject({ outcome: 'applied' })
    // The same request for its receipt's sake.
    const again = await report('match-4', 'a', { pipeline: 'any' }, { 'idempotency-key': 'any-1' })
    expect([again.status, again.body.revision]).toEqual([201, 1])
    expect((await report('match-5', 'a', {}, { 'if-match': '*' })).body).toMatchObject({ code: 'not_found' })
  })

  test.each([['0'], ['w/"0"'], ['*, "1"'], ['"*"'], ['"1", "2"'], ['"-1"'], ['"01"']])('%s is refused', async (tag) => {
    const answer = await report('match-2', 'a', { pipeline: 'any' }, { 'if-match': tag })
    expect(answer.body).toMatchObject({ code: 'invalid', errors: [{ in: 'header', pointer: '/If-Match' }] })
  })
})

test('traceparent is kept with the events, and passed over when it is not well-formed', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await report('trace-1', 'a', { pipeline: 'any' }, { traceparent })
  await report('trace-1', 'b', {}, { traceparent: 'nonsense' })
  const { events } = (await api.send('GET', '/v1/operations/trace-1/events')).body
  expect(events.map((event: { metadata: { traceparent?: string } }) => event.metadata.traceparent)).toEqual([
    traceparent,
    traceparent,
    undefined,
  ])
})

describe('what is not as it must be is refused with a pointer', () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ['an unknown member', { service: 's', status: 'a', nonsense: 1 }, '/nonsense'],
    ['a missing one', { status: 'a' }, '/service'],
    ['a status with a control character', { service: 's', status: 'a\u0007' }, '/status'],
    ['a status too long', { service: 's', status: 'x'.repeat(129) }, '/status'],
    ['an empty status', { service: 's', status: '' }, '/status'],
    ['a track name with a space', { service: 's', status: 'a', track: 'a b' }, '/track'],
    ['a negative sequence', { service: 's', status: 'a', sequence: -1 }, '/sequence'],
    ['a broken sequence', { service: 's', status: 'a', sequence: 1.5 }, '/sequence'],
    ['the 30th of February', { service: 's', status: 'a', observedAt: '2026-02-30T00:00:00Z' }, '/observedAt'],
    ['data that is a list', { service: 's', status: 'a', data: [] }, '/data'],
    ['data that is null', { service: 's', status: 'a', data: null }, '/data'],
    ['an unknown final', { service: 's', status: 'a', final: 'perhaps' }, '/final'],
  ]
  test.each(cases)('%s', async (_what, body, pointer) => {
    const answer = await api.send('POST', '/v1/operations/bad-1/reports', { pipeline: 'any', ...body })
    expect(answer.status).toBe(400)
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(answer.body.errors).toMatchObject([{ in: 'body', pointer }])
  })

  test('an unknown query parameter', async () => {
    const answer = await api.send('POST', '/v1/operations/bad-1/reports?force=1', { service: 's', status: 'a' })
    expect(answer.body).toMatchObject({ code: 'invalid', errors: [{ in: 'query', pointer: '/force' }] })
  })

  test.each(['stream', '-x', 'a b', 'x'.repeat(129), 'a%2Fb', '%00', 'ä'])('the operation id %s', async (id) => {
    const answer = await report(encodeURI(decodeURIComponent(id)).replaceAll('%252F', '%2F'), 'a', { pipeline: 'any' })
    expect(answer.status === 400 || (id === 'a%2Fb' && answer.status === 404)).toBe(true)
  })

  test('a body that is not an object', async () => {
    for (const body of ['[]', '"text"', '1', 'null']) {
      expect((await api.send('POST', '/v1/operations', body)).body).toMatchObject({ code: 'invalid', status: 400 })
    }
  })
})
