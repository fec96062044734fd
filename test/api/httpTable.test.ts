import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'
import { failingLog } from './failingLog.ts'
import { rawConnection } from './rawHttp.ts'

let api: ApiHarness
let port: number
beforeAll(async () => {
  api = await startApi()
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  port = (api.app.server.address() as AddressInfo).port
})
afterAll(() => api.close())

const path = '/v1/operations/table-1/reports'
const good = '{"service":"s","status":"a","pipeline":"any"}'

/** Sends bytes, and waits for the answer; `status` of its first line. */
async function raw(bytes: string | Buffer): Promise<{ status: number; text: string; code: unknown }> {
  const connection = await rawConnection(port)
  connection.write(bytes)
  const text = await connection.until(/^HTTP\/1\.1 \d+ [\s\S]*?\r\n\r\n(?:\{.*\}|)/)
  connection.socket.destroy()
  const body = text.slice(text.indexOf('\r\n\r\n') + 4)
  return { status: Number(text.slice(9, 12)), text, code: body.startsWith('{') ? JSON.parse(body).code : undefined }
}

const post = (body: string | Buffer, headers = '') =>
  Buffer.concat([
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n`,
    ),
    Buffer.from(body),
  ])

test('a sound request over a socket is answered', async () => {
  expect(await raw(post(good))).toMatchObject({ status: 201 })
})

test.each(['GET', 'POST', 'PUT', 'DELETE'])(
  '%s of a path that is no valid URL is 400, with a body as without',
  async (method) => {
    for (const body of method === 'GET' ? [''] : ['', good]) {
      const answer = await raw(
        `${method} /v1/operations/%4/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      )
      expect(answer).toMatchObject({ status: 400, code: 'invalid' })
    }
  },
)

describe('bodies that JSON.parse would alter, or that harm, are 400', () => {
  const within = (data: string) => `{"service":"s","status":"a","pipeline":"any","data":${data}}`
  test.each([
    ['10,000 deep', within(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), `/data${'/a'.repeat(31)}`],
    ['33 deep', within(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`), `/data${'/a'.repeat(31)}`],
    ['1e400', within('{"a":1e400}'), '/data/a'],
    ['an integer that a double alters', within('{"a":9007199254740993}'), '/data/a'],
    ['a decimal that a double alters', within('{"a":[0.123456789012345678]}'), '/data/a/0'],
    [
      'a sequence beyond 2^53-1',
      '{"service":"s","status":"a","pipeline":"any","sequence":9007199254740992}',
      '/sequence',
    ],
    ['duplicate keys', '{"service":"s","status":"a","status":"b","pipeline":"any"}', '/status'],
    ['a lone surrogate', within('{"a":"\\ud800"}'), '/data/a'],
    ['NUL', within('{"a":"\\u0000"}'), '/data/a'],
    ['NUL in a name', within('{"\\u0000":1}'), '/data'],
    ['__proto__', within('{"__proto__":{"polluted":1}}'), '/data/__proto__'],
    ['not JSON', '{"service":', null],
    ['nothing', '', null],
  ])('%s', async (_what, body, pointer) => {
    const answer = await api.send('POST', path, body)
    expect(answer.body).toMatchObject({ code: 'invalid', status: 400 })
    if (pointer === null) expect(answer.body.detail).toMatch(/ at offset \d+\.$/)
    else expect(answer.body.errors).toMatchObject([{ in: 'body', pointer }])
    expect(answer.headers['content-type']).toContain('application/problem+json')
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })

  test('invalid UTF-8', async () => {
    const body = Buffer.from('{"service":"s","status":"aX","pipeline":"any"}')
    body[body.indexOf('X')] = 0xff
    expect(await raw(post(body))).toMatchObject({ status: 400, code: 'invalid' })
  })

  test('32 deep is taken', async () => {
    expect((await api.send('POST', path, within(`${'{"a":'.repeat(31)}1${'}'.repeat(31)}`))).status).toBeLessThan(300)
  })
})

describe('paths', () => {
  test.each([
    ['%00 in an id', '/v1/operations/a%00b', 400],
    ['invalid UTF-8 in an id', '/v1/operations/a%ffb', 400],
    ['a broken escape', '/v1/operations/a%zz', 400],
    ['an id over 128 characters', `/v1/operations/${'a'.repeat(129)}`, 400],
    ['an id of 10,000 characters', `/v1/operations/${'a'.repeat(10_000)}`, 400],
    ['an id of 128 characters', `/v1/operations/${'a'.repeat(128)}`, 404],
    ['the reserved word', '/v1/operations/stream/events', 400],
    ['an unknown path', '/v1/nothing', 404],
    ['an unknown path of many parts', `/${'a/'.repeat(500)}`, 404],
  ])('%s is %i', async (_what, url, status) => {
    const answer = await api.send('GET', url)
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ status, type: expect.stringMatching(/^urn:waybill:problem:/) })
  })

  test.each([
    ['DELETE', '/v1/operations/a', 'GET, HEAD'],
    ['GET', '/v1/operations/a/reports', 'POST'],
    ['PATCH', '/v1/operations', 'GET, HEAD, POST'],
    ['POST', '/v1/pipelines/a', 'GET, HEAD, PUT'],
    ['GET', '/v1/commands', 'POST'],
    ['PUT', '/v1/events', 'GET, HEAD'],
    ['OPTIONS', '/v1/stats', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
  ] as const)('%s %s is 405 with Allow: %s', async (method, url, allow) => {
    const answer = await api.send(method, url)
    expect(answer.status).toBe(405)
    expect(answer.headers.allow).toBe(allow)
    expect(answer.body).toMatchObject({ code: 'method_not_allowed' })
  })

  test('405 comes before the body is looked at', async () => {
    const answer = await api.send('PATCH', '/v1/operations/a', '<a/>', { 'content-type': 'application/xml' })
    expect(answer.status).toBe(405)
  })
})

describe('content', () => {
  test.each([
    ['application/json; charset=utf-16', 415],
    ['application/json; charset=iso-8859-1', 415],
    ['application/json;charset="utf-16"', 415],
    ['application/xml', 415],
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['multipart/form-data; boundary=x', 415],
    ['nonsense', 415],
    ['application/json; charset=utf-8', 201],
    ['application/json; charset="UTF-8"', 201],
    ['Application/JSON', 201],
  ])('%s is %i', async (type, status) => {
    const url = `/v1/operations/${encodeURIComponent(type).replaceAll('%', '.').slice(0, 100)}/reports`
    const answer = await api.send('POST', url, good, { 'content-type': type })
    expect(answer.status).toBe(status)
    if (status === 415) expect(answer.body.code).toBe('unsupported_media_type')
  })

  test('a 415 says what is taken', async () => {
    const bare = await raw(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`)
    expect(bare).toMatchObject({ status: 415 })
    expect(bare.text).toContain('A body needs a Content-Type. This path takes application/json.')
    expect(bare.text).toMatch(/^accept: application\/json\r$/im)
    const typed = await api.send('POST', path, good, { 'content-type': 'text/plain' })
    expect([typed.status, typed.body.detail]).toEqual([415, 'This path takes application/json.'])
    const lines = 'application/x-ndjson, application/ndjson, application/jsonl'
    const bulk = await api.send('POST', '/v1/commands', good)
    expect([bulk.status, bulk.body.detail]).toEqual([415, `This path takes ${lines}.`])
    expect(bulk.headers.accept).toBe(lines)
  })

  test('a body over the limit is 413, whatever its size', async () => {
    const tooLarge = { code: 'too_large', status: 413 }
    expect((await api.send('POST', path, `"${'x'.repeat(768 * 1024)}"`)).body).toMatchObject(tooLarge)
    // The whole of it is sent before the answer is read, as most clients do.
    for (const size of [800_000, 5_000_000]) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        body: 'x'.repeat(size),
        headers: { 'content-type': 'application/json' },
      })
      expect(await answer.json()).toMatchObject(tooLarge)
    }
    expect(
      await raw(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\nx`,
      ),
    ).toMatchObject({ status: 413 })
  })

  test('a body of exactly the limit is read', async () => {
    const filled = good.replace('}', `,"data":{"x":"${'y'.repeat(768 * 1024 - good.length - 16)}"}}`)
    expect(filled).toHaveLength(768 * 1024)
    expect((await api.send('POST', '/v1/operations/filled/reports', filled)).body).toMatchObject({
      code: 'too_large',
      operation: 'filled',
    })
    expect((await api.send('POST', '/v1/operations/filled/reports', `${filled} `)).body.operation).toBeUndefined()
  })

  test.each(['GET /livez', 'DELETE /v1/keys/a'])('%s with a body is 400', async (line) => {
    expect(await raw(`${line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`)).toMatchObject({
      status: 400,
    })
  })

  test.each(['text/plain', 'application/json', 'nonsense'])('the type of no body is none: %s', async (type) => {
    const answer = await raw(`DELETE /v1/keys/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n\r\n`)
    expect(answer).toMatchObject({ status: 404 })
  })
})

describe('what is not sound HTTP', () => {
  const plain = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`
  test.each([
    [
      'Content-Length and Transfer-Encoding',
      `${plain}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['two Content-Lengths', `${plain}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    ['bare line feeds', `POST ${path} HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}`],
    ['two Host headers', 'GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['two equal Host headers', 'GET /livez HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n'],
    ['no Host header', 'GET /livez HTTP/1.1\r\n\r\n'],
    ['an unknown method', 'NONSENSE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a space before a colon', 'GET /livez HTTP/1.1\r\nHost : x\r\n\r\n'],
    ['an unknown expectation', 'GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n'],
  ])('%s is 400, as a problem', async (_what, bytes) => {
    const { status, text } = await raw(bytes)
    expect(status).toBe(400)
    expect(text).toMatch(/^content-type: application\/problem\+json/im)
  })

  test.each([
    ['of the parser', 'hello\r\n\r\n'],
    ['of an expectation', 'GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\nConnection: close\r\n\r\n'],
    ['of a route', 'GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
    ['that is no problem', 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
  ])('an answer %s ends in a newline, within its length', async (_what, bytes) => {
    const connection = await rawConnection(port)
    connection.write(bytes)
    const [head = '', body = ''] = (await connection.closed()).split('\r\n\r\n')
    const [, length] = /^content-length: (\d+)/im.exec(head) ?? []
    const chunks = /^transfer-encoding: chunked/im.test(head)
    const sent = chunks ? body.replace(/^[0-9a-f]+\r\n/, '').replace(/\r\n0(?:\r\n)?$/, '') : body
    expect(sent).toMatch(/^\{.*\}\n$/)
    if (!chunks) expect(Number(length)).toBe(Buffer.byteLength(sent))
  })

  test('HTTP/1.0 needs no Host header', async () => {
    expect((await raw('GET /livez HTTP/1.0\r\n\r\n')).status).toBe(200)
  })

  test('huge headers are 431, as a problem', async () => {
    const answer = await raw(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`)
    expect(answer).toMatchObject({ status: 431, code: 'headers_too_large' })
    const path = await raw(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    expect(path.status).toBe(431)
  })

  describe('that does not arrive in time', () => {
    let hurried: ApiHarness
    let port: number
    beforeAll(async () => {
      hurried = await startApi({ limits: { bodyArrivalMsMax: 300, headersArrivalMsMax: 300 } })
      await hurried.app.listen({ port: 0, host: '127.0.0.1' })
      port = (hurried.app.server.address() as AddressInfo).port
    })
    afterAll(() => hurried.close())

    test('a body that trickles in is 408, and the connection is closed', async () => {
      const connection = await rawConnection(port)
      connection.write(`${plain}Content-Length: 100\r\n\r\n{`)
      const trickle = setInterval(() => connection.write(' '), 50)
      const text = await connection.closed()
      clearInterval(trickle)
      expect(text).toMatch(/^HTTP\/1\.1 408 /)
      expect(text).toContain('"code":"timeout"')
    })

    test('headers that trickle in are 408, and the connection is closed', async () => {
      const connection = await rawConnection(port)
      connection.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n')
      const trickle = setInterval(() => connection.write('X-A: b\r\n'), 50)
      const text = await connection.closed()
      clearInterval(trickle)
      expect(text).toMatch(/^HTTP\/1\.1 408 /)
    })

    test('a request that was told 408 is not carried out, should the rest of it come', async () => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      const body = '{"service":"s","status":"a","pipeline":"any"}'
      socket.write(
        'POST /v1/operations/too-late/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n',
      )
      const [answer] = await once(socket, 'data')
      expect(String(answer)).toMatch(/^HTTP\/1\.1 408 /)
      socket.end(`Content-Length: ${body.length}\r\n\r\n${body}`)
      await once(socket, 'close')
      expect((await hurried.send('GET', '/v1/operations/too-late')).status).toBe(404)
    })
  })

  test('bytes that are no request do not answer the sound ones before them', async () => {
    const key = (n: number) => `Idempotency-Key: before-${n}\r\n`
    const connection = await rawConnection(port)
    connection.write(Buffer.concat([post(good, key(1)), post(good, key(2)), Buffer.from('}garbage\r\n\r\n')]))
    const text = await connection.closed()
    const answers = [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
    expect(answers).toHaveLength(3)
    expect(answers.slice(0, 2).every((status) => status < 300)).toBe(true)
    expect(answers[2]).toBe(400)
    expect([...text.matchAll(/"command":"before-(\d)"/g)].map(([, n]) => n)).toEqual(['1', '2'])
  })

  test('nor do they cut through an answer that has begun', async () => {
    const line = '{"type":"ReportStatus","operation":"bulk","service":"s","status":"a","pipeline":"any"}'
    const head = 'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson'
    const connection = await rawConnection(port)
    connection.write(`${head}\r\nContent-Length: ${line.length}\r\n\r\n${line}}`)
    const text = await connection.closed()
    expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n0\r\n\r\nHTTP\/1\.1 400 /)
  })

  test('a refused request that goes on and on is cut off after its answer', async () => {
    const connection = await rawConnection(port)
    connection.write('POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
    const endless = setInterval(() => connection.write('1\r\nx\r\n'), 20)
    const text = await connection.closed()
    clearInterval(endless)
    expect(text).toMatch(/^HTTP\/1\.1 404 /)
  })

  test('a client that goes away in the middle of a body leaves nothing behind', async () => {
    const connection = await rawConnection(port)
    connection.write(`${plain}Content-Length: 100\r\n\r\n{`)
    connection.socket.destroy()
    expect((await raw(post(good))).status).toBeLessThan(300)
    expect(api.errors).toEqual([])
  })
})

test('too many bodies arriving at once are 503 with Retry-After, and the next ones are served', async () => {
  const narrow = await startApi({ limits: { arrivingBytesMax: 100_000 } })
  try {
    await narrow.app.listen({ port: 0, host: '127.0.0.1' })
    const address = narrow.app.server.address() as AddressInfo
    const holder = await rawConnection(address.port)
    holder.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n${'x'.repeat(90_000)}`,
    )
    // More than a connection is read at once: what comes whole is never still arriving.
    const send = () =>
      fetch(`http://127.0.0.1:${address.port}${path}`, {
        method: 'POST',
        body: JSON.stringify({ service: 's', status: 'a', pipeline: 'any', data: { a: 'x'.repeat(90_000) } }),
        headers: { 'content-type': 'application/json' },
      })
    let answer = await send()
    // The holder's bytes may come after the first of ours.
    for (let tries = 0; answer.status !== 503 && tries < 100; tries += 1) answer = await send()
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await answer.json()).toMatchObject({ code: 'overloaded' })
    holder.socket.destroy()
    for (let tries = 0; answer.status !== 200 && tries < 100; tries += 1) answer = await send()
    expect(answer.status).toBe(200)
  } finally {
    await narrow.close()
  }
})

test('a client that leaves before the first result of its bulk request is no error of the service', async () => {
  let appending = () => {}
  const appended = new Promise<void>((resolve) => {
    appending = resolve
  })
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const slow = await startApi({
    wrapLog: (log) => ({
      ...failingLog(log, () => null),
      append: async (batch) => {
        appending()
        await released
        return log.append(batch)
      },
    }),
  })
  try {
    await slow.app.listen({ port: 0, host: '127.0.0.1' })
    const connection = await rawConnection((slow.app.server.address() as AddressInfo).port)
    const line = '{"type":"ReportStatus","operation":"a","service":"s","status":"a","pipeline":"any"}'
    const head = 'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson'
    connection.write(`${head}\r\nContent-Length: ${line.length}\r\n\r\n${line}`)
    await appended
    connection.socket.destroy()
    const connections = () =>
      new Promise((resolve) => slow.app.server.getConnections((_error, count) => resolve(count)))
    await eventually(connections, (count) => count === 0)
    release()
    // Behind it: by then its answer has ended as well.
    await slow.bulk([JSON.parse(line)])
    expect(slow.errors).toEqual([])
  } finally {
    release()
    await slow.close()
  }
})
