import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createWaybillClient, type RecordedEvent } from '../../src/client/client.ts'
import { patienceMs } from '../support/patience.ts'
import { createManualClock, settled } from './manualClock.ts'

const cleanUps: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

interface Connection {
  readonly lastEventId: string | undefined
  readonly url: string
  readonly response: ServerResponse
}

/** A service whose streams the test writes itself. */
async function startStreams(onConnection: (connection: Connection) => void = () => undefined) {
  const connections: Connection[] = []
  const waiting: (() => void)[] = []
  const server = createServer((message: IncomingMessage, response: ServerResponse) => {
    const lastEventId = message.headers['last-event-id']
    const connection = {
      lastEventId: typeof lastEventId === 'string' ? lastEventId : undefined,
      url: message.url ?? '',
      response,
    }
    connections.push(connection)
    onConnection(connection)
    for (const go of waiting.splice(0)) go()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  cleanUps.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return {
    baseUrl: `http://127.0.0.1:${address.port}`,
    connections,
    /** The nth connection, from 0, once it is made. */
    async connection(n: number): Promise<Connection> {
      for (;;) {
        const one = connections[n]
        if (one !== undefined) return one
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
  }
}

const head = { 'content-type': 'text/event-stream' }

function event(n: number): RecordedEvent {
  return {
    stream: 'operation-a',
    revision: n,
    position: `p${n}`,
    id: `${n}`,
    type: 'T',
    data: { n, text: 'ä€😀' },
    metadata: {},
  }
}

const message = (n: number) => `id: p${n}\nevent: event\ndata: ${JSON.stringify(event(n))}\n\n`

describe('live streams', () => {
  test('whatever cuts them, each event comes once and in order', async () => {
    const fault = fc.record({
      kind: fc.constantFrom('cut', 'end', 'refuse', 'unavailable', 'page', 'again'),
      events: fc.nat(5),
      /** Bytes of the next message that still come. */
      part: fc.nat(60),
      chunk: fc.integer({ min: 1, max: 40 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 8 }), async (faults) => {
        const script = [...faults]
        const total = 12
        const streams = await startStreams(({ lastEventId, response }) => {
          const from = lastEventId === undefined ? 0 : Number(lastEventId.slice(1)) + 1
          const fault = script.shift()
          if (fault?.kind === 'refuse') return void response.socket?.resetAndDestroy()
          if (fault?.kind === 'unavailable') return void response.writeHead(503, { 'retry-after': '0' }).end('<html>')
          if (fault?.kind === 'page') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')
          response.writeHead(200, head)
          // One service tells the last message again, which its reader has had.
          const first = fault?.kind === 'again' ? Math.max(0, from - 1) : from
          const until = Math.min(total, fault === undefined ? total : from + fault.events)
          let text = ''
          for (let n = first; n < until; n += 1) text += message(n)
          if (fault === undefined) return void response.write(text)
          const bytes = Buffer.from(text + (until < total ? message(until) : ''))
          const end = Buffer.byteLength(text) + (until < total ? fault.part : 0)
          for (let at = 0; at < end; at += fault.chunk)
            response.write(bytes.subarray(at, Math.min(end, at + fault.chunk)))
          if (fault.kind === 'cut') response.write('', () => response.destroy())
          else response.end()
        })
        const client = createWaybillClient({ baseUrl: streams.baseUrl, random: () => 0 })
        const seen: RecordedEvent[] = []
        for await (const one of client.streamEvents()) {
          seen.push(one)
          if (seen.length === total) break
        }
        expect(seen).toEqual(Array.from({ length: total }, (_, n) => event(n)))
        await client.close()
      }),
      { numRuns: 40, interruptAfterTimeLimit: 8_000 },
    )
  })

  test('resume after the last message read, or after the place that came without one', async () => {
    const streams = await startStreams()
    const client = createWaybillClient({ baseUrl: streams.baseUrl, random: () => 0 })
    const events = client.streamEvents({ after: 'p0', operation: 'a b', pipeline: 'x' })[Symbol.asyncIterator]()
    const first = events.next()
    const one = await streams.connection(0)
    expect(one).toMatchObject({ lastEventId: undefined, url: '/v1/events/stream?operation=a+b&pipeline=x&after=p0' })
    one.response.writeHead(200, head).write(`retry: 1\n${message(1)}`)
    expect((await first).value).toEqual(event(1))
    one.response.write(`${message(2)}${message(3)}`)
    expect((await events.next()).value).toEqual(event(2))
    expect((await events.next()).value).toEqual(event(3))
    const next = events.next()
    one.response.end(': heartbeat\nid: p7\n\n')
    const two = await streams.connection(1)
    expect(two.lastEventId).toBe('p7')
    two.response.writeHead(200, head).write(message(8))
    expect((await next).value).toEqual(event(8))
    await events.return?.()
    await new Promise((resolve) => two.response.once('close', resolve))
    await client.close()
  })

  test('one that is cut before it said anything resumes where it began', async () => {
    const streams = await startStreams()
    const client = createWaybillClient({ baseUrl: streams.baseUrl, random: () => 0 })
    const reading = client.streamEvents({ after: 'head' })[Symbol.asyncIterator]().next()
    const one = await streams.connection(0)
    one.response.writeHead(200, { ...head, 'waybill-position': 'p4' }).end()
    const two = await streams.connection(1)
    expect(two.lastEventId).toBe('p4')
    two.response.writeHead(200, head).write(message(5))
    expect((await reading).value).toEqual(event(5))
    await client.close()
  })

  test('a connection that falls silent is given up; one with heartbeats is not; nor is one whose reader is busy', async () => {
    const clock = createManualClock()
    const streams = await startStreams()
    const client = createWaybillClient({ baseUrl: streams.baseUrl, clock, random: () => 0, silenceMsMax: 40_000 })
    const events = client.streamEvents()[Symbol.asyncIterator]()
    const first = events.next()
    const one = await streams.connection(0)
    one.response.writeHead(200, head).write(message(1))
    await first
    // The reader is busy: nothing is waited for, so nothing is late.
    await clock.advance(100_000)
    const second = events.next()
    for (let beat = 0; beat < 4; beat += 1) {
      await settled()
      await clock.advance(30_000)
      one.response.write(': heartbeat\n\n')
      await arrival(() => clock.nextInMs === 40_000)
    }
    expect(streams.connections).toHaveLength(1)
    await clock.advance(40_000)
    await arrival(() => {
      void clock.advance(0)
      return streams.connections.length === 2
    })
    const two = await streams.connection(1)
    expect(two.lastEventId).toBe('p1')
    two.response.writeHead(200, head).write(message(2))
    expect((await second).value).toEqual(event(2))
    await client.close()
  })

  test('what the service refuses for good is an error', async () => {
    const streams = await startStreams(({ response }) => {
      const problem = { type: '', title: '', status: 410, detail: 'Another log.', instance: '', code: 'another_log' }
      response.writeHead(410, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
    })
    const client = createWaybillClient({ baseUrl: streams.baseUrl })
    const reading = client.streamEvents({ after: 'elsewhere' })[Symbol.asyncIterator]().next()
    await expect(reading).rejects.toMatchObject({ name: 'WaybillProblem', code: 'another_log', status: 410 })
    await client.close()
  })

  test('an abort ends the stream, while it waits and between attempts; so does close()', async () => {
    const streams = await startStreams(({ response }) => response.writeHead(200, head).flushHeaders())
    const client = createWaybillClient({ baseUrl: streams.baseUrl, clock: createManualClock() })
    const controller = new AbortController()
    const waiting = client.streamEvents({ signal: controller.signal })[Symbol.asyncIterator]().next()
    const { response } = await streams.connection(0)
    const cut = new Promise((resolve) => response.once('close', resolve))
    controller.abort('enough')
    await expect(waiting).rejects.toBe('enough')
    await cut
    const pausing = new AbortController()
    const again = client.streamEvents({ signal: pausing.signal })[Symbol.asyncIterator]().next()
    again.catch(() => undefined)
    ;(await streams.connection(1)).response.destroy()
    await settled()
    pausing.abort('enough too')
    await expect(again).rejects.toBe('enough too')
    const last = client.streamOperations()[Symbol.asyncIterator]().next()
    last.catch(() => undefined)
    await streams.connection(2)
    await client.close()
    await expect(last).rejects.toMatchObject({ name: 'WaybillClosed' })
  })
})

/** Until what was sent over the wire has had its effect. */
async function arrival(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it did not come about')
    await new Promise(setImmediate)
  }
}
