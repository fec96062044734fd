import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { normaliseDefinition } from '../../src/operation/definition.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  for (const [id, metadata] of [
    ['plain', { constructor: 'x' }],
    ['other', { customer: 'x' }],
  ] as const) {
    expect((await api.send('POST', '/v1/operations', { id, pipeline: 'any', metadata })).status).toBe(201)
  }
  const definition = { statuses: ['new', 'done'], outOfOrder: 'hold' }
  expect((await api.send('PUT', '/v1/pipelines/kept', definition)).status).toBe(201)
  await eventually(
    () => api.send('GET', '/v1/operations'),
    ({ body }) => body.operations?.length === 2,
  )
})
afterAll(() => api.close())

describe('names that every object knows', () => {
  test.each([
    ['metadata.__proto__=x', []],
    ['metadata.constructor=x', ['plain']],
    ['metadata.toString=x', []],
    ['metadata.hasOwnProperty=x', []],
    ['metadata.customer=x', ['other']],
  ])('%s is a filter as any other', async (query, found) => {
    const { status, body } = await api.send('GET', `/v1/operations?${query}`)
    expect([status, body.operations?.map(({ id }: { id: string }) => id)]).toEqual([200, found])
  })

  test.each(['/v1/operations', '/v1/stats', '/v1/pipelines', '/v1/events', '/livez'])(
    'are no parameters of %s',
    async (path) => {
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const { status, body } = await api.send('GET', `${path}?${name}=x`)
        expect([status, body.code], name).toEqual([400, 'invalid'])
      }
    },
  )
})

describe('headers', () => {
  test.each([
    ['GET', '/v1/operations', 200, 'no-store'],
    ['GET', '/v1/operations/plain', 200, 'private, no-cache'],
    ['GET', '/v1/pipelines/kept', 200, 'private, no-cache'],
    ['GET', '/v1/operations/missing', 404, 'no-store'],
    ['GET', '/v1/nothing', 404, 'no-store'],
    ['POST', '/v1/operations', 400, 'no-store'],
    ['GET', '/v1/stats', 200, 'no-store'],
    ['GET', '/metrics', 200, 'no-store'],
    ['GET', '/readyz', 200, 'no-store'],
  ])('%s %s answers %d to be kept: %s', async (method, url, status, kept) => {
    const answer = await api.app.inject({ method: method as 'GET', url })
    expect([answer.statusCode, answer.headers['cache-control'], answer.headers['x-content-type-options']]).toEqual([
      status,
      kept,
      'nosniff',
    ])
  })

  test('what is known is 304, and may be kept', async () => {
    const { headers } = await api.send('GET', '/v1/operations/plain')
    const again = await api.send('GET', '/v1/operations/plain', undefined, { 'if-none-match': String(headers.etag) })
    expect([again.status, again.headers.etag, again.headers['cache-control']]).toEqual([
      304,
      headers.etag,
      'private, no-cache',
    ])
  })
})

/** A right-to-left override, an isolate, a zero-width space, a joiner, a byte order mark, a soft hyphen, a tag, an annotation. */
const hidden = ['\u202e', '\u2066', '\u200b', '\u200f', '\ufeff', '\u00ad', '\ufff9']

describe('characters that hide or reorder text', () => {
  test.each(hidden.map((text) => [text.codePointAt(0)?.toString(16) ?? '', text]))(
    'U+%s is in no new name',
    async (_, text) => {
      const name = `do${text}ne`
      const report = { service: 'ocr', status: 'done', pipeline: 'any' }
      for (const member of ['service', 'status'] as const) {
        const { status, body } = await api.send('POST', '/v1/operations/named/reports', { ...report, [member]: name })
        expect([status, body.errors?.[0].pointer]).toEqual([400, `/${member}`])
      }
      const opened = await api.send('POST', '/v1/operations', { pipeline: 'any', theme: name })
      expect([opened.status, opened.body.errors?.[0].pointer]).toEqual([400, '/theme'])
      const defined = await api.send('PUT', '/v1/pipelines/named', { statuses: ['new', name], outOfOrder: 'hold' })
      expect([defined.status, defined.body.code]).toEqual([400, 'invalid'])
      expect(defined.text).not.toContain(text)
      expect((await api.send('GET', `/v1/operations?status=${encodeURIComponent(name)}`)).status).toBe(200)
    },
  )

  test('a definition of before the rule still has its long form, so that the same is unchanged', () => {
    const result = normaliseDefinition({ statuses: ['new', 'do\u200bne'], outOfOrder: 'hold' })
    expect(result.kind === 'invalid' && result.definition?.tracks.main?.final).toEqual({ 'do\u200bne': 'succeeded' })
  })

  test('other scripts and signs are in names as before', async () => {
    for (const status of ['готово', '完了', 'مكتمل', 'fait \u00e9', '\u{1f600}']) {
      const report = { service: 'ocr', status, pipeline: 'any' }
      expect((await api.send('POST', '/v1/operations/named/reports', report)).status, status).toBeLessThan(300)
    }
  })
})
