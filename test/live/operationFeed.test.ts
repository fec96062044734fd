import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { LiveStream } from '../../src/api/live/liveStream.ts'
import { OperationFeed } from '../../src/api/live/operationFeed.ts'
import type { OperationFilter } from '../../src/projections/queries/changedOperations.ts'
import { type ApiHarness, startApi } from '../api/apiHarness.ts'
import { patienceMs } from '../support/patience.ts'

let api: ApiHarness

beforeAll(async () => {
  api = await startApi()
})

afterAll(() => api.close())

/** Positions as plain numbers, so that a failure can be read. */
const tokens = { encode: String, decode: (token: string) => BigInt(token) }

function startFeed(): OperationFeed {
  const { readModel } = api.projections
  return new OperationFeed({ log: api.log, readModel, tokens }, () => undefined)
}

/** What a stream is told, as `event id`. */
function recordStream(cursor: bigint): { readonly stream: LiveStream; readonly told: () => readonly string[] } {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  const written: string[] = []
  vi.spyOn(response, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  return {
    stream: new LiveStream(response, { cursor, queuedBytesMax: 1_000_000, onDropped: () => undefined }),
    told: () => toldIn(written.join('')),
  }
}

function toldIn(text: string): readonly string[] {
  return [...text.matchAll(/event: (\w+)\ndata: \{"id":"([^"]+)"/g)].map(([, event, id]) => `${event} ${id}`)
}

async function report(id: string, final?: 'succeeded'): Promise<bigint> {
  const body = { service: 'svc', status: final ?? 'begun', pipeline: 'any', ...(final === undefined ? {} : { final }) }
  const { status } = await api.send('POST', `/v1/operations/${id}/reports`, body)
  expect(status).toBeLessThan(300)
  const head = await api.log.head()
  expect(await api.projections.readModel.waitFor(head, patienceMs)).toBe(true)
  return head
}

const active: OperationFilter = { state: 'active' }

test('what was opened and ended in one round has left for a stream that was told of it before the feed was', async () => {
  const before = await api.log.head()
  const opened = await report('ahead')
  const ended = await report('ahead', 'succeeded')
  const feed = startFeed()
  feed.startAt(before)
  const ahead = recordStream(opened)
  const level = recordStream(before)
  for (const { stream } of [ahead, level]) expect(feed.feed.join(stream, active)).toBe(true)
  const abort = new AbortController()
  const running = feed.run(abort.signal)
  feed.take(await api.log.readAll({ after: before, maxCount: 100 }))
  await vi.waitFor(() => expect(level.stream.cursor).toBe(ended), patienceMs)
  abort.abort()
  await running
  expect(ahead.told()).toEqual(['left ahead'])
  expect(level.told()).toEqual([])
})

test('what ended while a stream caught up from the beginning has left; what had ended before is not spoken of', async () => {
  await report('over', 'succeeded')
  const opened = await report('passing')
  const feed = startFeed()
  const holdings = { since: null }
  const count = (await api.log.readAll({ after: 0n, maxCount: 100 })).length
  const first = await feed.missed(active, 0n, count, holdings)
  expect(first.to).toBe(opened)
  expect(toldIn(first.messages.map(({ text }) => text).join(''))).toEqual(['operation passing'])
  await report('passing', 'succeeded')
  const second = await feed.missed(active, first.to, count, holdings)
  expect(toldIn(second.messages.map(({ text }) => text).join(''))).toEqual(['left passing'])
})
