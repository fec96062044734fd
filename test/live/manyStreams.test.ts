import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../projections/support/eventually.ts'
import { patienceMs } from '../support/patience.ts'
import { dataOf, type LiveHarness, type Reader, startLive } from './liveHarness.ts'

let live: LiveHarness
const readers: Reader[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  await live.close()
})

async function metric(name: string): Promise<number> {
  const { text } = await live.send('GET', '/metrics')
  return Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(text)?.[1])
}

const noStreams = () =>
  eventually('no streams', async () =>
    (await metric('waybill_live_streams{of="events"}')) + (await metric('waybill_live_streams{of="operations"}')) === 0
      ? true
      : undefined,
  )

/** Counts the messages of a stream and keeps none. */
function counter(path: string): {
  readonly socket: Socket
  readonly messages: () => number
  readonly bytes: () => number
} {
  const socket = connect({ port: live.port, host: '127.0.0.1' })
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  let messages = 0
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    for (let at = chunk.indexOf('data: '); at !== -1; at = chunk.indexOf('data: ', at + 1)) messages += 1
  })
  return { socket, messages: () => messages, bytes: () => bytes }
}

describe('many streams', () => {
  test('2,000 at once are told everything, from one subscription, in flat memory', async () => {
    let subscriptions = 0
    live = await startLive({
      wrapLog: (log) => ({
        ...log,
        subscribe: (options) => {
          subscriptions += 1
          return log.subscribe(options)
        },
      }),
    })
    await live.report('a', 'zero')
    await live.projections.readModel.waitFor(await live.log.head(), patienceMs)
    const ofProjector = subscriptions
    const count = 2_000
    const all: ReturnType<typeof counter>[] = []
    while (all.length < count) {
      // No more at once than a listening socket's backlog takes.
      for (let n = 0; n < 250; n += 1) {
        all.push(counter(n % 2 === 0 ? '/v1/events/stream?after=head' : '/v1/operations/stream?after=head'))
      }
      await eventually('streams', () => (all.every((reader) => reader.bytes() > 0) ? true : undefined))
    }
    expect(await metric('waybill_live_streams{of="events"}')).toBe(count / 2)
    expect(await metric('waybill_live_streams{of="operations"}')).toBe(count / 2)
    expect(subscriptions - ofProjector).toBe(1)
    const data = { text: 'x'.repeat(3_000) }
    const peaks: number[] = []
    // 150 KB to each of them, 300 MB in all: kept for each, it would show.
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([0, 1, 2, 3, 4].map((n) => live.report(`many-${n}`, `s${round}`, { data })))
      const { rss } = process.memoryUsage()
      peaks.push(rss)
    }
    // Five of these are opened: an event more each.
    await eventually('every event at each', () =>
      all.every((reader, n) => n % 2 === 1 || reader.messages() === 55) ? true : undefined,
    )
    await eventually('every operation at each', () =>
      all.every((reader, n) => n % 2 === 0 || reader.messages() >= 5) ? true : undefined,
    )
    const growth = (Math.max(...peaks) - (peaks[0] ?? 0)) / 1024 / 1024
    expect(growth).toBeLessThan(150)
    expect(await metric('waybill_live_streams_dropped_total')).toBe(0)
    for (const { socket } of all) socket.destroy()
    await noStreams()
  })

  test('one stream more than allowed is refused with 503, and there is room again when one has left', async () => {
    live = await startLive({ limits: { streamsMax: 2 } })
    const first = await live.open('/v1/events/stream')
    readers.push(first, await live.open('/v1/operations/stream'))
    await expect(live.open('/v1/events/stream')).rejects.toMatchObject({ status: 503 })
    const refused = await live.send('GET', '/v1/operations/stream')
    expect([refused.body.code, refused.headers['retry-after']]).toEqual(['overloaded', '2'])
    first.close()
    const again = await eventually('room', () => live.open('/v1/events/stream').catch(() => undefined))
    readers.push(again)
  })

  test('a reader that does not read is cut off, the others are not kept waiting, and it resumes without a gap', async () => {
    live = await startLive({ limits: { streamQueuedBytesMax: 256 * 1024 } })
    const slow = await live.open('/v1/events/stream?after=head')
    const quick = await live.open('/v1/events/stream?after=head')
    readers.push(slow, quick)
    await Promise.all([slow.until(() => slow.lastId() !== ''), quick.until(() => quick.lastId() !== '')])
    slow.pause()
    const data = { text: 'x'.repeat(400_000) }
    let reports = 0
    while ((await metric('waybill_live_streams_dropped_total')) === 0) {
      await live.report('big', `s${reports}`, { data: { ...data, reports } })
      reports += 1
      if (reports > 100) throw new Error('never cut off')
    }
    await quick.until((messages) => messages.length === reports + 1)
    slow.resume()
    expect(await slow.ended).toBe(false)
    const resumed = await live.open('/v1/events/stream', { 'last-event-id': slow.lastId() })
    readers.push(resumed)
    await resumed.until((messages) => slow.messages.length + messages.length === reports + 1)
    const revisions = [...slow.messages, ...resumed.messages].map((message) => dataOf(message).revision)
    expect(revisions).toEqual(Array.from({ length: reports + 1 }, (_, revision) => revision))
  })

  test('at shutdown streams end in order, with a time to come back after; no new ones are taken', async () => {
    live = await startLive()
    const both = [await live.open('/v1/events/stream'), await live.open('/v1/operations/stream')]
    readers.push(...both)
    await Promise.all(both.map((reader) => reader.until(() => reader.lastId() !== '')))
    live.drain.abort()
    for (const reader of both) {
      expect(await reader.ended).toBe(true)
      expect(reader.text()).toMatch(/: the service ends this stream[^\n]*\nretry: \d+\n\n$/)
    }
    await expect(live.open('/v1/events/stream')).rejects.toMatchObject({ status: 503 })
  })

  test('streams end when the server closes without a word before', async () => {
    live = await startLive()
    const reader = await live.open('/v1/events/stream')
    const closed = live.app.close()
    expect(await reader.ended).toBe(true)
    await closed
  })
})
