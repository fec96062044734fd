import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resultLine } from '../../src/api/contract/commands.ts'
import { type ApiHarness, linear, linesOf, startApi } from './apiHarness.ts'
import { failingLog } from './failingLog.ts'
import { rawConnection } from './rawHttp.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  await api.send('PUT', '/v1/pipelines/strict', { ...linear, outOfOrder: 'reject' })
})
afterAll(() => api.close())

const open = (operation: string, pipeline = 'strict') => ({ type: 'OpenOperation', operation, pipeline })
const report = (operation: string, status: string, more = {}) => ({
  type: 'ReportStatus',
  operation,
  service: 'ocr',
  status,
  ...more,
})

describe('bulk', () => {
  test('answers a line for each line, in order, and lines of one operation see each other', async () => {
    const results = await api.bulk([
      { ...open('b-1'), command: 'k1', theme: 't' },
      report('b-1', 'status1'),
      report('b-1', 'status2', { expectedRevision: 1 }),
      open('b-2'),
      report('b-1', 'status1', { expectedRevision: 0 }),
      { ...open('b-1'), command: 'k1', theme: 't' },
      { type: 'OpenOperation', pipeline: 'any' },
    ])
    expect(results.map(({ httpStatus, outcome, problem }) => [httpStatus, outcome ?? problem.code])).toEqual([
      [201, 'opened'],
      [200, 'applied'],
      [200, 'applied'],
      [201, 'opened'],
      [412, 'revision_mismatch'],
      [201, 'opened'],
      [201, 'opened'],
    ])
    expect(results.map(({ revision }) => revision)).toEqual([0, 1, 2, 0, undefined, 0, 0])
    // What happened since is for single commands.
    expect(results[4].problem.events).toBeUndefined()
  })

  test('a bad line fails alone, whatever is bad about it', async () => {
    const bad: [unknown, number, string][] = [
      ['nonsense', 400, 'invalid'],
      ['[]', 400, 'invalid'],
      ['{"type":"ReportStatus","operation":"b-3","service":"s","status":"a","status":"b"}', 400, 'invalid'],
      [
        '{"type":"ReportStatus","operation":"b-3","service":"s","status":"a","sequence":9007199254740993}',
        400,
        'invalid',
      ],
      [{ type: 'Nonsense', operation: 'b-3', command: 'k' }, 400, 'invalid'],
      [{ operation: 'b-3' }, 400, 'invalid'],
      [{ type: 'ReportStatus', operation: 'b-3', service: 's' }, 400, 'invalid'],
      [{ type: 'ReportStatus', service: 's', status: 'a' }, 400, 'invalid'],
      [report('stream', 'a'), 400, 'invalid'],
      [report('b-3', 'a', { id: 'b-3' }), 400, 'invalid'],
      [report('b-3', 'a', { command: 'has space' }), 400, 'invalid'],
      [report('b-3', 'a', { expectedRevision: -1 }), 400, 'invalid'],
      [report('b-3', 'nowhere'), 409, 'unknown_status'],
      [report('b-4', 'status1'), 404, 'not_found'],
    ]
    const results = await api.bulk([open('b-3'), ...bad.map(([line]) => line), report('b-3', 'status1')])
    expect(results).toHaveLength(bad.length + 2)
    for (const [index, [, status, code]] of bad.entries()) {
      expect(results[index + 1]).toMatchObject({ httpStatus: status, problem: { status, code } })
      expect(results[index + 1].problem.instance).toBe(`/v1/commands#${index + 2}`)
    }
    expect(results.at(-1)).toMatchObject({ httpStatus: 200, outcome: 'applied' })
  })

  test('bytes that are not UTF-8 spoil their own line only', async () => {
    const lines = [open('b-5'), report('b-5', 'ä'), report('b-5', 'status1')].map((line) =>
      Buffer.from(`${JSON.stringify(line)}\n`),
    )
    const spoiled = Buffer.concat(lines)
    spoiled[(lines[0]?.length ?? 0) + (lines[1]?.indexOf('ä') ?? 0)] = 0xff
    const answer = await api.app.inject({
      method: 'POST',
      url: '/v1/commands',
      payload: spoiled,
      headers: { 'content-type': 'application/x-ndjson' },
    })
    const results = linesOf(answer.body)
    expect(results.map((line) => line.httpStatus)).toEqual([201, 400, 200])
    expect(results[1].problem.detail).toBe(`The line is not valid UTF-8: see offset ${lines[1]?.indexOf('ä')}.`)
  })

  test('what strict JSON refuses is pointed at, relative to the line', async () => {
    const line = (data: string) => `{"type":"ReportStatus","operation":"b-8","service":"s","status":"a","data":${data}}`
    const results = await api.bulk([
      line('{"items":[{"n":12345678901234567890}]}'),
      line('{"a":{"b/c":1,"b/c":2}}'),
      line('{"a":["\\ud800"]}'),
      line('{"a":}'),
    ])
    expect(results.map(({ problem }) => problem.errors?.map((one: { pointer: string }) => one.pointer))).toEqual([
      ['/data/items/0/n'],
      ['/data/a/b~1c'],
      ['/data/a/0'],
      undefined,
    ])
    expect(results[3].problem.detail).toBe(`The document is not valid JSON: see offset ${line('{"a":').length - 1}.`)
  })

  test('blank lines are passed over, and the last needs no newline', async () => {
    const text = `\n${JSON.stringify(open('b-6'))}\r\n  \n\n${JSON.stringify(report('b-6', 'status1'))}`
    const results = await api.bulk([text])
    expect(results.map((line) => line.httpStatus)).toEqual([201, 200])
    expect(await api.bulk([''])).toEqual([])
  })

  test('a line of 768 KiB is taken, a longer one is 413 and the next is not hurt', async () => {
    const line = (bytes: number) => {
      const empty = JSON.stringify(report('b-7', 'x', { pipeline: 'any', data: {}, metadata: {} }))
      return empty.replace('"data":{}', `"data":{},"nonsense":"${'x'.repeat(bytes - empty.length - 14)}"`)
    }
    expect(line(1_000)).toHaveLength(1_000)
    const results = await api.bulk([
      line(768 * 1024),
      line(768 * 1024 + 1),
      line(5_000_000),
      report('b-7', 'y', { pipeline: 'any' }),
    ])
    expect(results.map((result) => [result.httpStatus, result.problem?.instance])).toEqual([
      [400, '/v1/commands#1'],
      [413, '/v1/commands#2'],
      [413, '/v1/commands#3'],
      [201, undefined],
    ])
  })

  test('many lines are answered one for one', async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) =>
      report(`m-${index % 700}`, `s${index}`, { pipeline: 'any', command: `k${index}` }),
    )
    const results = await api.bulk(lines)
    expect(results.map((result) => result.command)).toEqual(lines.map((line) => (line as { command?: string }).command))
    expect(results.every((result) => result.httpStatus < 300)).toBe(true)
  })

  test.each(['application/x-ndjson', 'application/ndjson', 'application/jsonl', 'Application/JSONL; charset=UTF-8'])(
    'lines may be called %s',
    async (type) => {
      const text = JSON.stringify(report(`type-${type.length}-1`, 's', { pipeline: 'any' }))
      const answer = await api.send('POST', '/v1/commands', text, { 'content-type': type })
      expect([answer.status, linesOf(answer.text).map(({ httpStatus }) => httpStatus)]).toEqual([200, [201]])
      expect(answer.headers['content-type']).toBe('application/x-ndjson; charset=utf-8')
    },
  )

  test('another content type is 415, and JSON routes take no lines', async () => {
    expect((await api.send('POST', '/v1/commands', '{}')).body).toMatchObject({ code: 'unsupported_media_type' })
    const lines = { 'content-type': 'application/x-ndjson' }
    expect((await api.send('POST', '/v1/operations', '{}', lines)).status).toBe(415)
    const utf16 = { 'content-type': 'application/x-ndjson; charset=utf-16' }
    expect((await api.send('POST', '/v1/commands', '{}', utf16)).status).toBe(415)
  })
})

describe('with results=failures', () => {
  const lines = { 'content-type': 'application/x-ndjson' }
  const failures = async (...sent: readonly unknown[]) => {
    const text = sent.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
    const answer = await api.send('POST', '/v1/commands?results=failures', text, lines)
    expect(answer.status).toBe(200)
    return linesOf(answer.text).map((line) => resultLine.parse(line))
  }

  test('only lines that were refused are answered, each with its number, and the last line counts', async () => {
    const results = await failures(
      open('f-1'),
      'nonsense',
      '',
      report('f-1', 'status1', { command: 'k-1' }),
      // Held back, repeated, overtaken: an outcome, and no failure.
      report('f-1', 'status1', { command: 'k-1' }),
      report('f-1', 'done', { command: 'k-2' }),
      open('f-2', 'nowhere'),
    )
    expect(results).toMatchObject([
      { line: 2, httpStatus: 400, problem: { code: 'invalid', instance: '/v1/commands#2' } },
      { line: 6, operation: 'f-1', command: 'k-2', httpStatus: 409, problem: { code: 'transition_not_allowed' } },
      { line: 7, operation: 'f-2', httpStatus: 404, problem: { code: 'not_found' } },
      { lines: 6, failed: 3 },
    ])
    expect(results).toHaveLength(4)
  })

  test('without a failure, and without a line, it is the count alone', async () => {
    expect(await failures(open('f-3'))).toEqual([{ lines: 1, failed: 0 }])
    expect(await failures('')).toEqual([{ lines: 0, failed: 0 }])
  })

  test('all is the default, and nothing else is known', async () => {
    const text = JSON.stringify(report('f-4', 's', { pipeline: 'any' }))
    const all = await api.send('POST', '/v1/commands?results=all', text, lines)
    expect(linesOf(all.text)).toMatchObject([{ httpStatus: 201 }])
    const wrong = await api.send('POST', '/v1/commands?results=none', text, lines)
    expect(wrong.body).toMatchObject({ code: 'invalid', errors: [{ in: 'query', pointer: '/results' }] })
  })
})

describe('when the log is in trouble', () => {
  test.each(['unavailable', 'unknown'] as const)(
    '%s: later lines of that operation are 424, those of others go on',
    async (kind) => {
      const troubled = await startApi({
        wrapLog: (log) => failingLog(log, ({ stream }) => (stream === 'operation-x' ? kind : null)),
      })
      try {
        const results = await troubled.bulk([
          report('y', 'a', { pipeline: 'any' }),
          report('x', 'a', { pipeline: 'any', command: 'first' }),
          report('x', 'b', { pipeline: 'any' }),
          report('y', 'b'),
          'nonsense',
          report('x', 'c', { pipeline: 'any', command: 'later' }),
        ])
        const code = kind === 'unknown' ? 'outcome_unknown' : 'log_unavailable'
        expect(results.map((result) => [result.httpStatus, result.problem?.code])).toEqual([
          [201, undefined],
          [503, code],
          [424, 'not_tried'],
          [200, undefined],
          [400, 'invalid'],
          [424, 'not_tried'],
        ])
        expect(results[1]).toMatchObject({ command: 'first', operation: 'x', problem: { command: 'first' } })
        const single = await troubled.send('POST', '/v1/operations/x/reports', {
          service: 's',
          status: 'a',
          pipeline: 'any',
        })
        expect(single.body).toMatchObject({ code, status: 503 })
        expect(single.body.command).toMatch(/^[0-9a-f-]{36}$/)
        expect(Number(single.headers['retry-after'])).toBeGreaterThan(0)
      } finally {
        await troubled.close()
      }
    },
  )

  test('a full queue answers singles with 503 overloaded and Retry-After, and slows bulk down', async () => {
    const narrow = await startApi({
      commandLimits: { queuedCommandsMax: 8 },
      limits: { bulkCommandsTotalMax: 4, bulkCommandsMax: 4 },
    })
    try {
      const lines = Array.from({ length: 200 }, (_, index) => report(`n-${index}`, 's', { pipeline: 'any' }))
      const [bulk, ...singles] = await Promise.all([
        narrow.bulk(lines),
        ...Array.from({ length: 50 }, (_, index) =>
          narrow.send('POST', `/v1/operations/single-${index}/reports`, { service: 's', status: 'a', pipeline: 'any' }),
        ),
      ])
      for (const line of bulk) expect([201, 503]).toContain(line.httpStatus)
      const refused = singles.filter((answer) => answer.status === 503)
      expect(refused.length).toBeGreaterThan(0)
      for (const answer of refused) {
        expect(answer.body.code).toBe('overloaded')
        expect(answer.headers['retry-after']).toBe('1')
      }
      const alone = await narrow.bulk(lines)
      expect(alone.every((line) => line.httpStatus < 300)).toBe(true)
    } finally {
      await narrow.close()
    }
  })
})

describe('over a real connection', () => {
  let streaming: ApiHarness
  let port: number
  beforeAll(async () => {
    streaming = await startApi({ limits: { bulkCommandsMax: 50 } })
    await streaming.app.listen({ port: 0, host: '127.0.0.1' })
    port = (streaming.app.server.address() as AddressInfo).port
  })
  afterAll(() => streaming.close())
  const head =
    'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n'
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

  test('each line is answered before the next is sent', async () => {
    const connection = await rawConnection(port)
    connection.write(head)
    for (const status of ['a', 'b', 'c']) {
      connection.write(
        chunk(`${JSON.stringify(report('live-1', status, { pipeline: 'any', command: `k-${status}` }))}\n`),
      )
      await connection.until(new RegExp(`"command":"k-${status}".*"httpStatus":20`))
    }
    connection.write('0\r\n\r\n')
    await connection.until(/\r\n0\r\n\r\n$/)
    connection.socket.destroy()
  })

  test('with results=failures the answer begins with the first result, which is not written', async () => {
    const connection = await rawConnection(port)
    connection.write(head.replace('/commands', '/commands?results=failures'))
    connection.write(chunk(`${JSON.stringify(report('early-1', 'a', { pipeline: 'any' }))}\n`))
    expect(await connection.until(/\r\n\r\n/)).toMatch(
      /^HTTP\/1\.1 200 .*content-type: application\/x-ndjson.*\r\n\r\n$/is,
    )
    connection.write('0\r\n\r\n')
    await connection.until(/\{"lines":1,"failed":0\}\n\r\n0\r\n\r\n$/)
    connection.socket.destroy()
  })

  describe('that stands still', () => {
    let idle: ApiHarness
    let port: number
    beforeAll(async () => {
      idle = await startApi({ limits: { bulkIdleMsMax: 400, bulkCommandsMax: 50 } })
      await idle.app.listen({ port: 0, host: '127.0.0.1' })
      port = (idle.app.server.address() as AddressInfo).port
    })
    afterAll(() => idle.close())

    test('an upload is ended, and what was sent of it is answered', async () => {
      const connection = await rawConnection(port)
      connection.write(`${head}${chunk(`${JSON.stringify(report('still-1', 'a', { pipeline: 'any' }))}\n{"type":`)}`)
      const text = await connection.closed()
      expect(text).toContain('"httpStatus":201')
      expect(text).toContain('{"httpStatus":408,"readUpTo":1,"problem":{"type":"urn:waybill:problem:timeout"')
    })

    test('one that stood still from its beginning is 408', async () => {
      const connection = await rawConnection(port)
      connection.write(`${head}${chunk('{"type":')}`)
      expect(await connection.closed()).toMatch(/^HTTP\/1\.1 408 /)
    })
  })

  test('a client that goes away in the middle leaves nothing behind', async () => {
    const connection = await rawConnection(port)
    connection.write(`${head}${chunk(`${JSON.stringify(report('gone-1', 'a', { pipeline: 'any' }))}\n`)}`)
    await connection.until(/"httpStatus":201/)
    connection.socket.destroy()
    expect((await streaming.send('GET', '/v1/operations/gone-1')).status).toBe(200)
  })
})

test('a shutdown ends an upload after what is in hand', async () => {
  const closing = await startApi()
  await closing.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = closing.app.server.address() as AddressInfo
  const connection = await rawConnection(port)
  connection.write(
    'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  const line = `${JSON.stringify(report('closing-1', 'a', { pipeline: 'any' }))}\n`
  connection.write(`${line.length.toString(16)}\r\n${line}\r\n`)
  await connection.until(/"httpStatus":201/)
  closing.drain.abort()
  const text = await connection.until(/\r\n0\r\n\r\n$/)
  expect(text).toContain('"httpStatus":201')
  expect(text).toContain('{"httpStatus":503,"readUpTo":1,"problem":{"type":"urn:waybill:problem:overloaded"')
  await closing.close()
  await connection.closed()
})
