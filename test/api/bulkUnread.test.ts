import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createUnreadResults } from '../../src/api/bulk/bulkAnswer.ts'
import { type ApiHarness, type BulkLine, eventually, linesOf, startApi } from './apiHarness.ts'

/** No JSON: its result takes 400 bytes, and nothing is written. */
const line = `${'x'.repeat(699)}\n`
const block = 100

interface Upload {
  readonly request: ClientRequest
  /** Null: the connection ended without one. */
  readonly response: Promise<IncomingMessage | null>
  readonly closed: Promise<void>
}

function begin(port: number, query: string): Upload {
  const sent = request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    agent: false,
    path: `/v1/commands${query}`,
    headers: { 'content-type': 'application/x-ndjson' },
  })
  sent.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => sent.once('close', () => resolve()))
  const response = new Promise<IncomingMessage | null>((resolve) => {
    // Without a listener for its data it stays unread.
    sent.once('response', (message) => resolve(message))
    void closed.then(() => resolve(null))
  })
  return { request: sent, response, closed }
}

/** Writes without reading, as fast as the connection takes it. */
async function write({ request: sent, closed }: Upload, lines: number): Promise<void> {
  for (let written = 0; written < lines && !sent.destroyed; written += block) {
    if (sent.write(line.repeat(block))) continue
    await Promise.race([new Promise((resolve) => sent.once('drain', resolve)), closed])
  }
}

async function read({ response }: Upload): Promise<BulkLine[]> {
  const message = await response
  if (message === null) throw new Error('the connection ended without an answer')
  let text = ''
  for await (const chunk of message.setEncoding('utf8')) text += chunk
  return linesOf(text)
}

/** The whole of the next request has been read by the service. */
const arrived = ({ app }: ApiHarness) =>
  new Promise<void>((resolve) => {
    app.server.once('request', (incoming: IncomingMessage) => incoming.once('end', resolve))
  })

const openConnections = ({ app }: ApiHarness) =>
  new Promise<number>((resolve, reject) => {
    app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
  })

const portOf = ({ app }: ApiHarness) => (app.server.address() as AddressInfo).port

describe('a client that sends all it has before it reads anything', () => {
  /** More than what the kernel holds between the two, both ways. */
  const lines = 25_000
  let roomy: ApiHarness
  let narrow: ApiHarness
  let hasty: ApiHarness
  beforeAll(async () => {
    const bulkUnreadBytesMax = 256 * 1024
    roomy = await startApi()
    // Longer than a busy machine keeps both of them from running.
    narrow = await startApi({ limits: { bulkUnreadBytesMax, bulkIdleMsMax: 2_000 } })
    hasty = await startApi({ limits: { bulkUnreadBytesMax, bulkIdleMsMax: 100 } })
    for (const { app } of [roomy, narrow, hasty]) await app.listen({ port: 0, host: '127.0.0.1' })
  })
  afterAll(() => Promise.all([roomy.close(), narrow.close(), hasty.close()]))

  test('gets all its results as long as there is room for them', async () => {
    const upload = begin(portOf(roomy), '')
    const answered = arrived(roomy)
    await write(upload, lines)
    upload.request.end()
    await answered
    const results = await read(upload)
    expect(results).toHaveLength(lines)
    expect(results.at(-1).problem.instance).toBe(`/v1/commands#${lines}`)
  })

  test('gets those of the lines that were read, and is told up to where, when there is none', async () => {
    const upload = begin(portOf(narrow), '')
    const passedOver = arrived(narrow)
    await write(upload, lines)
    upload.request.end()
    // However much the kernel holds: the lines in it are looked at once nobody waits for their results any more.
    await passedOver
    const results = await read(upload)
    const { readUpTo, httpStatus, problem } = results.pop() ?? {}
    expect(readUpTo).toBeGreaterThan(0)
    expect(readUpTo).toBeLessThan(lines)
    expect([httpStatus, problem.code, problem.instance]).toEqual([408, 'timeout', '/v1/commands'])
    expect(problem.detail).toContain(`Lines were read up to line ${readUpTo}; what comes after it was not tried.`)
    expect(results.map((result) => result.problem.instance)).toEqual(
      Array.from({ length: readUpTo }, (_, index) => `/v1/commands#${index + 1}`),
    )
  })

  test('is let go when it never reads', async () => {
    const upload = begin(portOf(hasty), '')
    await write(upload, lines)
    upload.request.end()
    // What it would notice of it itself, it would have to read.
    await eventually(
      () => openConnections(hasty),
      (count) => count === 0,
    )
    upload.request.destroy()
  })

  test('is let go when it neither reads nor ever ends', async () => {
    const upload = begin(portOf(hasty), '')
    await write(upload, Number.POSITIVE_INFINITY)
    await upload.closed
  })
})

describe('room for results that are not read', () => {
  const results = createUnreadResults({ bulkUnreadBytesMax: 1_000_000 })

  test('is shared: one that is above its own is told when another is gone', async () => {
    const told: string[] = []
    const [large, small, late] = ['large', 'small', 'late'].map((name) => results.open(() => void told.push(name)))
    if (large === undefined || small === undefined || late === undefined) throw new Error('three were opened')
    large.write('x'.repeat(900_000))
    expect([large.hasRoom(), small.hasRoom()]).toEqual([true, true])
    small.write('x'.repeat(100_000))
    expect([large.hasRoom(), small.hasRoom()]).toEqual([false, false])
    // What each has to itself is left to it.
    expect(late.hasRoom()).toBe(true)
    told.length = 0
    large.stream.destroy()
    await new Promise((resolve) => large.stream.once('close', resolve))
    expect(told).toEqual(['small', 'late'])
    expect([small.hasRoom(), results.bytes()]).toEqual([true, 100_000])
  })

  test('is given back by an answer that is read', async () => {
    const answer = results.open(() => undefined)
    answer.write('x'.repeat(2_000_000))
    answer.end()
    expect(answer.hasRoom()).toBe(false)
    answer.stream.resume()
    await new Promise((resolve) => answer.stream.once('close', resolve))
    expect(results.bytes()).toBeLessThan(1_000_000)
  })
})
