import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { LogUnavailableError } from '../../src/eventlog/eventLog.ts'
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
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  let messages = 0
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    // Positions are none: theirs is a token, no object.
    for (let at = chunk.indexOf('data: {'); at !== -1; at = chunk.indexOf('data: {', at + 1)) messages += 1
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

  test('one stream more than allowed is told its place and to come back, and there is room when one has left', async () => {
    live = await startLive({ limits: { streamsMax: 2, streamRetryMs: 20 } })
    const { position } = await live.report('a', 'one')
    const first = await live.open('/v1/events/stream')
    readers.push(first, await live.open('/v1/operations/stream'))
    const place = (id: string) =>
      new RegExp(
        `^retry: \\d+\\n\\nevent: position\\ndata: ${id}\\nid: ${id}\\n\\n: the service[^\\n]*\\nretry: \\d+\\n\\n$`,
      )
    for (const path of ['/v1/events/stream', '/v1/operations/stream']) {
      const asked = await live.open(path, { 'last-event-id': position })
      expect(await asked.ended).toBe(true)
      expect(asked.text()).toMatch(place(position))
      expect(asked.headers['waybill-position']).toBe(position)
      const head = await live.open(`${path}?after=head`)
      expect(await head.ended).toBe(true)
      expect(head.text()).toMatch(place(position))
    }
    expect(await metric('waybill_live_streams_turned_away_total')).toBe(4)
    // What no other moment would cure stays an error.
    await expect(live.open('/v1/events/stream', { 'last-event-id': 'void' })).rejects.toMatchObject({ status: 400 })
    const foreign = `${'A'.repeat(22)}5`
    await expect(live.open(`/v1/events/stream?after=${foreign}`)).rejects.toMatchObject({ status: 410 })
    first.close()
    const again = await eventually('room', async () => {
      const reader = await live.open('/v1/events/stream')
      readers.push(reader)
      const isServed = reader.until((messages) => messages.length >= 2).then(() => true)
      return await isServed.catch(() => undefined)
    })
    expect(again).toBe(true)
  })

  test('who is turned away is held for as long as it was asked to stay away, and let go at shutdown', async () => {
    live = await startLive({ limits: { streamsMax: 0, streamRetryMs: 60_000 } })
    const reader = await live.open('/v1/events/stream?after=head')
    readers.push(reader)
    let isOver = false
    const over = reader.ended.then(() => {
      isOver = true
    })
    await reader.until(() => reader.text().includes(': the service ends this stream'))
    expect(await metric('waybill_live_streams_turned_away_total')).toBe(1)
    expect(isOver).toBe(false)
    live.drain.abort()
    await over
    expect(await reader.ended).toBe(true)
  })

  test('a node whose log cannot be asked tells a stream its place, if it has one, and to come back', async () => {
    let fails = false
    live = await startLive({
      limits: { streamRetryMs: 20 },
      wrapLog: (log) => ({
        ...log,
        head: () => (fails ? Promise.reject(new LogUnavailableError('planted')) : log.head()),
      }),
    })
    const { position } = await live.report('a', 'one')
    fails = true
    const known = await live.open('/v1/events/stream', { 'last-event-id': position })
    expect(await known.ended).toBe(true)
    expect(known.lastId()).toBe(position)
    const unknown = await live.open('/v1/events/stream?after=head')
    expect(await unknown.ended).toBe(true)
    expect([unknown.lastId(), unknown.headers['waybill-position']]).toEqual(['', undefined])
    expect(unknown.retryMs()).toBeGreaterThanOrEqual(20)
    expect((await live.send('HEAD', '/v1/events/stream?after=head')).status).toBe(503)
    fails = false
    const served = await live.open('/v1/events/stream')
    readers.push(served)
    await served.until((messages) => messages.length === 2)
  })

  test('a key that sends more requests than it may is told to come back, too', async () => {
    live = await startLive({ limits: { requestsPerSMax: 1, streamRetryMs: 20 } })
    await eventually('one turned away', async () => {
      readers.push(...(await Promise.all([0, 1, 2, 3, 4].map(() => live.open('/v1/events/stream')))))
      return readers.some((reader) => reader.text().includes(': the service ends this stream')) ? true : undefined
    })
  })

  test('says at least so often as it is set to how far it has come', async () => {
    live = await startLive({ limits: { streamHeartbeatS: 1 } })
    const reader = await live.open('/v1/events/stream?operation=quiet')
    readers.push(reader)
    const { position } = await live.report('other', 'one')
    const beat = `: heartbeat\nevent: position\ndata: ${position}\nid: ${position}\n\n`
    await reader.until(() => reader.text().includes(beat))
    expect(reader.messages).toEqual([])
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
      const place = reader.lastId()
      const farewell = `event: position\\ndata: ${place}\\nid: ${place}\\n\\n: the service ends this stream[^\\n]*\\nretry: \\d+\\n\\n$`
      expect(reader.text()).toMatch(new RegExp(farewell))
    }
    const late = await live.open('/v1/events/stream', { 'last-event-id': both[0]?.lastId() ?? '' })
    expect(await late.ended).toBe(true)
    expect(late.text()).toContain(`event: position\ndata: ${both[0]?.lastId()}\n`)
  })

  test('streams end when the server closes without a word before', async () => {
    live = await startLive()
    const reader = await live.open('/v1/events/stream')
    const closed = live.app.close()
    expect(await reader.ended).toBe(true)
    await closed
  })
})
