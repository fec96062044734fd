import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ContentEncoding, unpackedBody } from '../../src/api/contentEncoding.ts'
import { type ApiHarness, type BulkLine, linesOf, startApi } from './apiHarness.ts'
import { rawConnection } from './rawHttp.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  await api.app.listen({ port: 0, host: '127.0.0.1' })
})
afterAll(() => api.close())

const pack = { gzip: (text: string) => gzipSync(text), br: (text: string) => brotliCompressSync(text) } as const
const encodings = ['gzip', 'br'] as const
const report = (operation: string, more = {}) => ({ service: 's', status: 'a', pipeline: 'any', ...more, operation })
let made = 0
function newId(): string {
  made += 1
  return `packed-${made}`
}

async function post(url: string, payload: Buffer, encoding: string, more: Record<string, string> = {}) {
  const headers = { 'content-type': 'application/json', 'content-encoding': encoding, ...more }
  const method = url.startsWith('/v1/pipelines') ? 'PUT' : 'POST'
  const answer = await api.app.inject({ method, url, payload, headers })
  return { status: answer.statusCode, headers: answer.headers, text: answer.body }
}

describe.each(encodings)('a JSON body in %s', (encoding) => {
  const send = (body: string | Buffer) => {
    const packed = typeof body === 'string' ? pack[encoding](body) : body
    return post(`/v1/operations/${newId()}/reports`, packed, encoding)
  }
  const good = JSON.stringify({ service: 's', status: 'a', pipeline: 'any', data: { text: 'ü'.repeat(10_000) } })

  test('is taken on every route of commands', async () => {
    expect((await send(good)).status).toBe(201)
    const opening = pack[encoding](JSON.stringify({ id: newId(), pipeline: 'any' }))
    expect((await post('/v1/operations', opening, encoding)).status).toBe(201)
    const definition = pack[encoding](JSON.stringify({ statuses: ['a', 'b'], outOfOrder: 'hold' }))
    expect((await post(`/v1/pipelines/of-${encoding}`, definition, encoding)).status).toBe(201)
    const other = await post(`/v1/operations/${newId()}/reports`, pack[encoding](good), encoding.toUpperCase())
    expect(other.status).toBe(201)
  })

  test('is limited by its size when it is unpacked, however small it comes', async () => {
    const body = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`
    // Whole, and judged for what it is.
    expect((await send(body(768 * 1024))).text).toContain('The body is not as it must be.')
    const large = await send(body(768 * 1024 + 1))
    expect([large.status, large.text]).toEqual([
      413,
      expect.stringContaining('The body is larger than 786432 bytes when it is unpacked.'),
    ])
    expect((await send(body(20 * 1024 * 1024))).status).toBe(413)
  })

  test('that is damaged, cut off, something else, or followed by more is 400', async () => {
    const packed = pack[encoding](good)
    const damaged = Buffer.from(packed)
    for (let at = 20; at < damaged.length; at += 7) damaged[at] = (damaged[at] ?? 0) ^ 0xff
    for (const [what, body] of [
      ['damaged', damaged],
      ['cut off', packed.subarray(0, -1)],
      ['cut off early', packed.subarray(0, 5)],
      ['something else', Buffer.from(good)],
      ['followed by text', Buffer.concat([packed, Buffer.from('{}')])],
      ['followed by nothing', Buffer.concat([packed, Buffer.alloc(3)])],
    ] as const) {
      const { status, text } = await send(body)
      expect([status, JSON.parse(text).code, JSON.parse(text).detail], what).toEqual([
        400,
        'invalid',
        `The body is not ${encoding}, is damaged, or ends too early.`,
      ])
    }
  })
})

test('another encoding is 415, which says which are taken; none at all is none', async () => {
  const body = Buffer.from('{"service":"s","status":"a","pipeline":"any"}')
  for (const encoding of ['deflate', 'zstd', 'gzip, br', 'gzip,gzip', 'nonsense']) {
    for (const [url, type] of [
      [`/v1/operations/${newId()}/reports`, 'application/json'],
      ['/v1/commands', 'application/x-ndjson'],
    ] as const) {
      const { status, headers, text } = await post(url, body, encoding, { 'content-type': type })
      expect([status, headers['accept-encoding']], `${encoding} ${url}`).toEqual([415, 'gzip, br'])
      expect(JSON.parse(text)).toMatchObject({
        code: 'unsupported_media_type',
        detail: 'A body may be packed with one of these: gzip, br.',
      })
    }
  }
  for (const encoding of ['identity', 'Identity', ' ', '']) {
    expect((await post(`/v1/operations/${newId()}/reports`, body, encoding)).status).toBe(201)
  }
})

test('gzip members that follow each other are one body, and x-gzip is gzip', async () => {
  const parts = ['{"service":"s","sta', 'tus":"a","pipe', '', 'line":"any"}'].map((part) => gzipSync(part))
  expect((await post(`/v1/operations/${newId()}/reports`, Buffer.concat(parts), 'x-gzip')).status).toBe(201)
})

describe.each(encodings)('a bulk request in %s', (encoding) => {
  const bulk = async (payload: Buffer) => {
    const answer = await post('/v1/commands', payload, encoding, { 'content-type': 'application/x-ndjson' })
    return { ...answer, lines: answer.status === 200 ? linesOf(answer.text) : [] }
  }
  const lineOf = (operation: string) => `${JSON.stringify({ type: 'ReportStatus', ...report(operation) })}\n`

  test('is answered line by line, and is as large as it likes', async () => {
    const ids = Array.from({ length: 3_000 }, newId)
    const { lines } = await bulk(pack[encoding](ids.map((id) => lineOf(id)).join('')))
    expect(lines.map(({ operation, httpStatus }) => [operation, httpStatus])).toEqual(ids.map((id) => [id, 201]))
  })

  test('is limited by its lines', async () => {
    const [before, after] = [newId(), newId()]
    const { lines } = await bulk(pack[encoding](`${lineOf(before)}${'x'.repeat(10_000_000)}\n${lineOf(after)}`))
    expect(lines.map(({ httpStatus }) => httpStatus)).toEqual([201, 413, 201])
  })

  test('that is none, from its first byte on, is 400', async () => {
    for (const payload of [Buffer.from(lineOf(newId())), Buffer.alloc(0), pack[encoding]('').subarray(0, -1)]) {
      const { status, text } = await bulk(payload)
      expect([status, JSON.parse(text).code]).toEqual([400, 'invalid'])
    }
  })

  test.each([
    ['cut off', (packed: Buffer) => packed.subarray(0, -4)],
    ['followed by text', (packed: Buffer) => Buffer.concat([packed, Buffer.from(lineOf('lost'))])],
  ])('that is %s says so last, and up to which line commands were read', async (_what, spoil) => {
    const ids = Array.from({ length: 2_000 }, newId)
    const { status, lines } = await bulk(spoil(pack[encoding](ids.map((id) => lineOf(id)).join(''))))
    const { readUpTo, httpStatus, problem }: BulkLine = lines.pop()
    expect([status, httpStatus, problem.code]).toEqual([200, 400, 'invalid'])
    expect(readUpTo).toBeGreaterThan(0)
    expect(lines.map(({ operation, httpStatus }) => [operation, httpStatus])).toEqual(
      ids.slice(0, readUpTo).map((id) => [id, 201]),
    )
  })
})

test('a client that leaves in the middle of a packed body leaves nothing behind', async () => {
  const { port } = api.app.server.address() as AddressInfo
  const id = newId()
  const line = gzipSync(`${JSON.stringify({ type: 'ReportStatus', ...report(id) })}\n`, {
    finishFlush: constants.Z_SYNC_FLUSH,
  })
  const connection = await rawConnection(port)
  connection.write(
    'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n' +
      `Transfer-Encoding: chunked\r\n\r\n${line.length.toString(16)}\r\n`,
  )
  connection.write(line)
  await connection.until(/"httpStatus":201/)
  connection.socket.destroy()
  expect((await api.send('GET', `/v1/operations/${id}`)).status).toBe(200)
  expect(api.errors).toEqual([])
})

describe('unpacking', () => {
  /** Stands for a request: all that unpacking asks of one is a stream. */
  const source = (pieces: readonly Buffer[]) => Readable.from(pieces) as unknown as IncomingMessage

  async function unpack(pieces: readonly Buffer[], encoding: ContentEncoding) {
    const body = unpackedBody(source(pieces), encoding, 1_024)
    let text = ''
    for await (const chunk of body) text += chunk
    return { text, corrupt: body.isCorrupt() }
  }

  test('is the same however the bytes are cut, at the seam of two gzip members too', async () => {
    const packed = Buffer.concat(['one ', '', 'two ', 'three'].map((part) => gzipSync(part)))
    const whole = { text: 'one two three', corrupt: false }
    for (let at = 1; at < packed.length; at += 1) {
      expect(await unpack([packed.subarray(0, at), packed.subarray(at)], 'gzip')).toEqual(whole)
    }
    expect(
      await unpack(
        [...packed].map((byte) => Buffer.of(byte)),
        'gzip',
      ),
    ).toEqual(whole)
  })

  test.each(encodings)('of %s that was cut is corrupt wherever the cut is', async (encoding) => {
    const packed = pack[encoding]('some text, and some more')
    for (let at = 0; at < packed.length; at += 1) {
      expect((await unpack([packed.subarray(0, at)], encoding)).corrupt, `${at}`).toBe(true)
    }
  })

  test.each(encodings)(
    'of %s that is followed by anything is corrupt, in the same piece or a later one',
    async (encoding) => {
      const packed = pack[encoding]('some text')
      // Node ends in order at zeros, and brotli at any byte; what follows them would be lost.
      const second = encoding === 'br' ? packed : Buffer.concat([Buffer.alloc(4), packed])
      for (const more of [Buffer.alloc(1), Buffer.from('more'), second]) {
        expect((await unpack([Buffer.concat([packed, more])], encoding)).corrupt).toBe(true)
        expect(await unpack([packed, more], encoding)).toEqual({ text: 'some text', corrupt: true })
      }
    },
  )

  test.each(encodings)('of %s goes no further ahead of its reader than a mebibyte', async (encoding) => {
    const request = new PassThrough()
    const body = unpackedBody(request as unknown as IncomingMessage, encoding, 64 * 1024)
    request.end(pack[encoding]('x'.repeat(16 * 1024 * 1024)))
    let read = 0
    for await (const chunk of body) {
      read += chunk.length
      // Everybody else has had their turn, several times.
      for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate)
      expect(body.readableLength).toBeLessThan(512 * 1024)
    }
    expect([read, body.isCorrupt()]).toEqual([16 * 1024 * 1024, false])
  })
})
