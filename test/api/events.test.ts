import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, eventLines, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  for (const [id, count] of [
    ['a', 5],
    ['b', 2],
  ] as const) {
    for (let n = 0; n < count; n += 1) {
      await api.send('POST', `/v1/operations/${id}/reports`, { service: 's', status: `s${n}`, pipeline: 'any' })
    }
  }
})
afterAll(() => api.close())

type Event = { revision: number; position: string; stream: string }
const revisions = (events: Event[]) => events.map((event) => event.revision)

describe("an operation's events", () => {
  test('are listed from revision 0 on, as they are stored', async () => {
    const { body } = await api.send('GET', '/v1/operations/a/events')
    expect(revisions(body.events)).toEqual([0, 1, 2, 3, 4, 5])
    expect(body.events[1]).toMatchObject({ stream: 'operation-a', type: 'StatusChanged', data: { to: 's0' } })
    expect(body.events[1].metadata.previousHash).toBe(body.events[0].metadata.hash)
    expect(body.next).toBe('6')
  })

  test.each(['forwards', 'backwards'])('page by page, %s', async (direction) => {
    const seen: number[] = []
    let from = ''
    for (;;) {
      const { status, body } = await api.send('GET', `/v1/operations/a/events?direction=${direction}&pageSize=4${from}`)
      expect(status).toBe(200)
      seen.push(...revisions(body.events))
      if (body.events.length === 0 || !('next' in body)) break
      from = `&fromRevision=${body.next}`
    }
    expect(seen).toEqual(direction === 'forwards' ? [0, 1, 2, 3, 4, 5] : [5, 4, 3, 2, 1, 0])
  })

  test('backwards end without a next: there is nothing before revision 0', async () => {
    const { body } = await api.send('GET', '/v1/operations/a/events?direction=backwards&fromRevision=1')
    expect(revisions(body.events)).toEqual([1, 0])
    expect(body).not.toHaveProperty('next')
  })

  test('past the end are none, and what to pass on stays', async () => {
    const { body } = await api.send('GET', '/v1/operations/a/events?fromRevision=100')
    expect(body).toEqual({ events: [], next: '100' })
  })

  test('of an operation that is not there are 404', async () => {
    expect((await api.send('GET', '/v1/operations/nobody/events')).body).toMatchObject({ code: 'not_found' })
    expect((await api.send('GET', '/v1/operations/nobody/events?direction=backwards')).status).toBe(404)
  })

  test.each(['fromRevision=-1', 'fromRevision=x', 'fromRevision=', 'direction=up', 'pageSize=1001', 'after=x'])(
    '%s is 400',
    async (query) => {
      expect((await api.send('GET', `/v1/operations/a/events?${query}`)).status).toBe(400)
    },
  )
})

describe('the whole log', () => {
  test('is read in order, each event once, page by page', async () => {
    const seen: Event[] = []
    let after = ''
    for (;;) {
      const { body } = await api.send('GET', `/v1/events?pageSize=3${after}`)
      seen.push(...body.events)
      if (body.events.length === 0) {
        expect(after).toBe(`&after=${body.next}`)
        break
      }
      after = `&after=${body.next}`
    }
    expect(seen.map(({ stream, revision }) => `${stream}/${revision}`)).toEqual([
      ...[0, 1, 2, 3, 4, 5].map((revision) => `operation-a/${revision}`),
      ...[0, 1, 2].map((revision) => `operation-b/${revision}`),
    ])
  })

  test('as NDJSON is streamed to the head', async () => {
    const lines = await api.send('GET', '/v1/events', undefined, { accept: 'application/x-ndjson' })
    expect(lines.headers['content-type']).toContain('application/x-ndjson')
    const events = eventLines(lines.text)
    expect(events).toHaveLength(9)
    expect(lines.headers['waybill-position']).toBe(events.at(-1).position)
    const page = await api.send('GET', '/v1/events')
    expect(events).toEqual(page.body.events)
    const some = await api.send('GET', `/v1/events?pageSize=2&after=${events[3].position}`, undefined, {
      accept: 'application/x-ndjson',
    })
    expect(eventLines(some.text)).toEqual(events.slice(4, 6))
  })

  test.each([
    ['application/jsonl', 'application/jsonl'],
    ['application/ndjson;q=0.9, application/json;q=0.1', 'application/ndjson'],
    ['application/jsonl;q=0.1, application/x-ndjson', 'application/x-ndjson'],
    ['application/jsonl;q=0, application/json', 'application/json'],
    ['application/jsonl;q=0.5, */*', 'application/json'],
  ])('Accept: %s is answered as %s', async (accept, type) => {
    const answer = await api.send('HEAD', '/v1/events', undefined, { accept })
    expect(answer.headers['content-type']).toBe(`${type}; charset=utf-8`)
  })

  test('HEAD of the stream sends no events', async () => {
    const head = await api.send('HEAD', '/v1/events', undefined, { accept: 'application/x-ndjson' })
    expect([head.status, head.text]).toEqual([200, ''])
  })

  test('in a form it does not have is 406', async () => {
    const answer = await api.send('GET', '/v1/events', undefined, { accept: 'text/html' })
    expect(answer.body).toMatchObject({ code: 'not_acceptable', status: 406 })
  })
})

test('a stream that a shutdown cuts short is broken off, not ended as if it were whole', async () => {
  let letOn: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    letOn = resolve
  })
  const closing = await startApi({
    projecting: false,
    wrapLog: (log) => ({
      ...log,
      logId: log.logId,
      readAll: async (options) => {
        if (options.after > 0n) await gate
        return log.readAll(options)
      },
    }),
  })
  try {
    await closing.bulk(
      Array.from({ length: 300 }, (_, index) => ({
        type: 'ReportStatus',
        operation: `cut-${index}`,
        service: 's',
        status: 'a',
        pipeline: 'any',
      })),
    )
    await closing.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = closing.app.server.address() as AddressInfo
    const answer = await fetch(`http://127.0.0.1:${port}/v1/events`, { headers: { accept: 'application/x-ndjson' } })
    expect(answer.status).toBe(200)
    closing.drain.abort()
    letOn()
    await expect(answer.text()).rejects.toThrow()
  } finally {
    await closing.close()
  }
})
