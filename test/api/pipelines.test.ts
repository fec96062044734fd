import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, linear, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const put = (name: string, definition: unknown, headers = {}) =>
  api.send('PUT', `/v1/pipelines/${name}`, definition, headers)

const long = {
  outOfOrder: 'advance',
  tracks: {
    main: {
      initial: 'new',
      transitions: { new: ['status1'], status1: ['status2'], status2: ['done'] },
      final: { done: 'succeeded' },
    },
  },
}

describe('defining', () => {
  test('is 201 first, 200 unchanged for the same, and a new version for another', async () => {
    const first = await put('invoice', linear)
    expect(first.status).toBe(201)
    expect(first.headers.location).toBe('/v1/pipelines/invoice')
    expect(first.body).toMatchObject({ name: 'invoice', version: 1, outcome: 'defined', definition: long, revision: 0 })
    const same = await put('invoice', long)
    expect(same.status).toBe(200)
    expect(same.body).toMatchObject({ version: 1, outcome: 'unchanged', revision: 0 })
    const second = await put('invoice', { ...long, outOfOrder: 'hold' })
    expect(second.status).toBe(200)
    expect(second.body).toMatchObject({ version: 2, outcome: 'defined', revision: 1 })
    expect(second.headers.etag).toBe('"1"')
  })

  test('is in force at once', async () => {
    await put('at-once', linear)
    const opened = await api.send('POST', '/v1/operations', { id: 'p-1', pipeline: 'at-once' })
    expect(opened.status).toBe(201)
    await put('at-once', { ...linear, outOfOrder: 'reject' })
    await api.send('POST', '/v1/operations', { id: 'p-2', pipeline: 'at-once' })
    expect((await api.send('GET', '/v1/operations/p-2')).body.pipeline.version).toBe(2)
    expect((await api.send('GET', '/v1/operations/p-1')).body.pipeline.version).toBe(1)
  })

  test('what is wrong is pointed at', async () => {
    const answer = await put('wrong', {
      outOfOrder: 'sometimes',
      tracks: { main: { initial: 'new', transitions: { new: ['nowhere'] }, final: {} } },
    })
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('invalid')
    expect(answer.body.errors.length).toBeGreaterThan(0)
    for (const error of answer.body.errors)
      expect(error).toMatchObject({ in: 'body', pointer: expect.stringMatching(/^\//) })
    for (const body of ['[]', 'null', '{}', '{"statuses":[]}', '"x"'])
      expect((await put('wrong', body)).status).toBe(400)
    expect((await api.send('GET', '/v1/pipelines/wrong')).status).toBe(404)
  })

  test('`any` is built in', async () => {
    expect((await put('any', linear)).status).toBeGreaterThanOrEqual(400)
    expect((await api.send('GET', '/v1/pipelines/any')).body).toMatchObject({
      name: 'any',
      version: 1,
      definedAt: null,
    })
  })

  test('under a key is repeated with its first answer, and 422 with another definition', async () => {
    const headers = { 'idempotency-key': 'define-1' }
    expect((await put('keyed', linear, headers)).body).toMatchObject({ version: 1, command: 'define-1' })
    expect((await put('keyed', linear, headers)).body).toMatchObject({ version: 1, command: 'define-1' })
    expect((await put('keyed', { ...linear, outOfOrder: 'hold' }, headers)).body).toMatchObject({ code: 'key_reused' })
  })

  test('at another revision than If-Match says is 412', async () => {
    await put('matched', linear)
    const answer = await put('matched', { ...linear, outOfOrder: 'hold' }, { 'if-match': '"5"' })
    expect(answer.body).toMatchObject({ code: 'revision_mismatch', status: 412, revision: 0 })
    expect(answer.body.detail).toMatch(/^The pipeline is at revision 0/)
    const unborn = await put('unborn', linear, { 'if-match': '"5"' })
    expect([unborn.status, unborn.body.detail]).toEqual([412, 'The pipeline does not exist yet'])
    // Nothing in either speaks of what a pipeline is not.
    for (const { text } of [answer, unborn]) expect(text.split('"events"')[0]).not.toMatch(/operation/)
    expect((await put('matched', { ...linear, outOfOrder: 'hold' }, { 'if-match': '"0"' })).status).toBe(200)
  })

  test('a bad name is 400', async () => {
    for (const name of ['-x', 'a.b', 'x'.repeat(65), 'a%20b']) expect((await put(name, linear)).status).toBe(400)
  })
})

describe('reading', () => {
  test('one, and any version of it', async () => {
    await put('read', linear)
    await put('read', { ...linear, outOfOrder: 'hold' })
    expect((await api.send('GET', '/v1/pipelines/read')).body).toMatchObject({
      version: 2,
      definition: { outOfOrder: 'hold' },
    })
    expect((await api.send('GET', '/v1/pipelines/read/versions/1')).body).toMatchObject({
      version: 1,
      definition: long,
    })
    const missing = async (path: string) => {
      const { status, body } = await api.send('GET', path)
      return [status, body.detail]
    }
    const noVersion = 'Pipeline "read" has no version 3; its newest is 2.'
    expect(await missing('/v1/pipelines/read/versions/3')).toEqual([404, noVersion])
    const noPipeline = 'There is no pipeline "nobody".'
    expect(await missing('/v1/pipelines/nobody/versions/1')).toEqual([404, noPipeline])
    expect(await missing('/v1/pipelines/nobody')).toEqual([404, noPipeline])
    expect((await api.send('GET', '/v1/pipelines/read/versions/0')).status).toBe(400)
    expect((await api.send('GET', '/v1/pipelines/read/versions/x')).status).toBe(400)
  })

  test('one tells its revision, for If-Match and If-None-Match', async () => {
    await put('tagged', linear)
    await put('tagged', { ...linear, outOfOrder: 'hold' })
    const read = (path: string, tags: string) => api.send('GET', path, undefined, { 'if-none-match': tags })
    const newest = await read('/v1/pipelines/tagged', '"0"')
    expect([newest.status, newest.headers.etag]).toEqual([200, '"1"'])
    expect((await read('/v1/pipelines/tagged', 'W/"1"')).status).toBe(304)
    expect((await read('/v1/pipelines/tagged/versions/1', '"0"')).status).toBe(304)
    expect((await read('/v1/pipelines/any', '"0"')).status).toBe(200)
    expect((await read('/v1/pipelines/any', '*')).status).toBe(304)
    const next = { ...linear, outOfOrder: 'reject' }
    expect((await put('tagged', next, { 'if-match': String(newest.headers.etag) })).body.version).toBe(3)
  })

  test('the list, by name, page by page, with what is built in', async () => {
    await put('zebra', linear)
    const list = await api.send('GET', '/v1/pipelines?consistency=strong')
    const names: string[] = list.body.pipelines.map((pipeline: { name: string }) => pipeline.name)
    expect(names).toEqual(names.toSorted())
    expect(names).toContain('any')
    expect(names).toContain('zebra')
    expect(list.body.nextPageToken).toBe('')
    const seen: string[] = []
    let token = ''
    do {
      const page = await api.send('GET', `/v1/pipelines?pageSize=1${token === '' ? '' : `&pageToken=${token}`}`)
      seen.push(...page.body.pipelines.map((pipeline: { name: string }) => pipeline.name))
      token = page.body.nextPageToken
    } while (token !== '')
    expect(seen).toEqual(names)
  })
})
