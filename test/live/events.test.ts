import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordedEvent } from '../../src/api/contract/recordedEvent.ts'
import { dataOf, type LiveHarness, type Reader, startLive } from './liveHarness.ts'

let live: LiveHarness
const readers: Reader[] = []

beforeAll(async () => {
  live = await startLive()
})

afterAll(async () => {
  for (const reader of readers) reader.close()
  await live.close()
})

async function open(path: string, headers?: Record<string, string>): Promise<Reader> {
  const reader = await live.open(path, headers)
  readers.push(reader)
  return reader
}

const places = (reader: Reader) =>
  reader.messages.map((message) => `${dataOf(message).stream}@${dataOf(message).revision}`)

describe('GET /v1/events/stream', () => {
  test('tells what the log holds, then what comes, each event as it is stored', async () => {
    await live.report('a', 'one')
    const reader = await open('/v1/events/stream')
    await reader.until((messages) => messages.length === 2)
    await live.report('a', 'two')
    await live.report('b', 'one')
    await reader.until((messages) => messages.length === 5)
    expect(places(reader)).toEqual([
      'operation-a@0',
      'operation-a@1',
      'operation-a@2',
      'operation-b@0',
      'operation-b@1',
    ])
    for (const message of reader.messages) {
      expect(message.event).toBe('event')
      expect(recordedEvent.parse(dataOf(message)).position).toBe(message.id)
    }
    expect(reader.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    expect(reader.retryMs()).toBeGreaterThanOrEqual(1_000)
  })

  test('resumes after Last-Event-ID, which goes before lastEventId=, which goes before after=', async () => {
    const all = await open('/v1/events/stream')
    await all.until((messages) => messages.length >= 5)
    const [first, second, third] = all.messages
    const reader = await open(`/v1/events/stream?after=${first?.id}`, { 'last-event-id': second?.id ?? '' })
    await reader.until((messages) => messages.length > 0)
    expect(reader.messages[0]).toEqual(third)
    const byQuery = await open(`/v1/events/stream?after=${first?.id}&lastEventId=${second?.id}`)
    await byQuery.until((messages) => messages.length > 0)
    expect(byQuery.messages[0]).toEqual(third)
    const byHeader = await open(`/v1/events/stream?lastEventId=${first?.id}`, { 'last-event-id': second?.id ?? '' })
    await byHeader.until((messages) => messages.length > 0)
    expect(byHeader.messages[0]).toEqual(third)
    const empty = await open(`/v1/events/stream?after=${first?.id}&lastEventId=`, { 'last-event-id': '' })
    await empty.until((messages) => messages.length > 0)
    expect(empty.messages[0]).toEqual(second)
    const other = await open(`/v1/events/stream?after=${first?.id}`)
    await other.until((messages) => messages.length > 0)
    expect(other.messages[0]).toEqual(second)
  })

  test('after=head: what comes from now on; a stream cut before its first message resumes where it began', async () => {
    const reader = await open('/v1/events/stream?after=head')
    await reader.until(() => reader.lastId() !== '')
    const began = reader.lastId()
    expect(reader.headers['waybill-position']).toBe(began)
    reader.close()
    await live.report('between', 'one')
    const again = await open('/v1/events/stream?after=head', { 'last-event-id': began })
    await again.until((messages) => messages.length === 2)
    expect(places(again)).toEqual(['operation-between@0', 'operation-between@1'])
  })

  test('of one operation, and of one pipeline with its definitions: from before, and live', async () => {
    await live.send('PUT', '/v1/pipelines/narrow', { statuses: ['new', 'done'], outOfOrder: 'advance' })
    const opened = { pipeline: 'narrow' }
    await live.send('POST', '/v1/operations', { id: 'n1', ...opened })
    const [byOperation, byPipeline] = [
      await open('/v1/events/stream?operation=n2'),
      await open('/v1/events/stream?pipeline=narrow'),
    ]
    await live.report('elsewhere', 'one')
    await live.send('POST', '/v1/operations', { id: 'n2', ...opened })
    await live.report('n1', 'done', opened)
    await live.report('n2', 'done', opened)
    await byOperation.until((messages) => messages.length === 2)
    expect(places(byOperation)).toEqual(['operation-n2@0', 'operation-n2@1'])
    await byPipeline.until((messages) => messages.length === 5)
    const ofNarrow = ['pipeline-narrow@0', 'operation-n1@0', 'operation-n2@0', 'operation-n1@1', 'operation-n2@1']
    expect(places(byPipeline)).toEqual(ofNarrow)
    const later = await open('/v1/events/stream?operation=n1')
    await later.until((messages) => messages.length === 2)
    expect(places(later)).toEqual(['operation-n1@0', 'operation-n1@1'])
  })

  test('refuses what it cannot serve', async () => {
    const foreign = `${'A'.repeat(22)}5`
    expect((await live.send('GET', `/v1/events/stream?after=${foreign}`)).body.code).toBe('another_log')
    const answer = await live.send('GET', '/v1/events/stream', undefined, { 'last-event-id': foreign })
    expect(answer.status).toBe(410)
    expect((await live.send('GET', '/v1/events/stream?after=nonsense')).status).toBe(400)
    expect(
      (await live.send('GET', '/v1/events/stream', undefined, { 'last-event-id': 'nonsense' })).body.errors,
    ).toEqual([{ in: 'header', pointer: '/Last-Event-ID', detail: 'is not a position' }])
    expect((await live.send('GET', '/v1/events/stream?lastEventId=nonsense')).body.errors).toEqual([
      { in: 'query', pointer: '/lastEventId', detail: 'is not a position' },
    ])
    expect((await live.send('GET', `/v1/events/stream?lastEventId=${foreign}`)).status).toBe(410)
    expect((await live.send('GET', '/v1/events/stream?lastEventId=a&lastEventId=b')).status).toBe(400)
    expect((await live.send('GET', '/v1/events/stream?sort=id')).status).toBe(400)
    expect((await live.send('GET', '/v1/events/stream', undefined, { accept: 'application/json' })).status).toBe(406)
    const head = await live.send('HEAD', '/v1/events/stream')
    expect(head.status).toBe(200)
    expect(head.headers['content-type']).toBe('text/event-stream')
    expect(live.errors).toEqual([])
  })
})

test('across any disconnections, each event comes once and in order, while more are appended', async () => {
  const cuts = fc.array(fc.record({ after: fc.nat(40), operation: fc.boolean() }), { minLength: 1, maxLength: 6 })
  let run = 0
  await fc.assert(
    fc.asyncProperty(cuts, async (disconnections) => {
      run += 1
      const id = `cut-${run}`
      const start = await open('/v1/events/stream?after=head')
      await start.until(() => start.lastId() !== '')
      let lastId = start.lastId()
      start.close()
      const appended = (async () => {
        for (let round = 0; round < 10; round += 1) {
          await Promise.all([0, 1, 2, 3, 4].map((n) => live.report(n === 0 ? id : `${id}-${n}`, `s${round}`)))
        }
      })()
      const got: string[] = []
      const ids: string[] = []
      const operation = disconnections[0]?.operation === true
      const expected = operation ? 11 : 55
      const path = operation ? `/v1/events/stream?operation=${id}` : '/v1/events/stream'
      for (const { after } of [...disconnections, { after: expected }]) {
        const reader = await open(path, { 'last-event-id': lastId })
        const wanted = Math.min(after, expected - got.length)
        await reader.until((messages) => messages.length >= wanted)
        reader.close()
        got.push(...places(reader))
        ids.push(...reader.messages.map((message) => message.id))
        lastId = reader.lastId()
      }
      await appended
      const { body } = await live.send('GET', `/v1/events?after=${start.lastId()}&pageSize=1000`)
      const inLog = body.events.filter((event: { stream: string }) => !operation || event.stream === `operation-${id}`)
      expect(ids).toEqual(inLog.map((event: { position: string }) => event.position))
      expect(new Set(got).size).toBe(expected)
    }),
    { numRuns: 8 },
  )
})
