import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { patienceMs } from '../support/patience.ts'
import { type ApiHarness, eventually, linear, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  await api.send('PUT', '/v1/pipelines/invoice', linear)
})
afterAll(() => api.close())

const report = (id: string, status: string, more = {}) =>
  api.send('POST', `/v1/operations/${id}/reports`, { service: 'ocr', status, pipeline: 'invoice', ...more })

describe('one operation', () => {
  test('is answered as documented, with the position it is folded up to', async () => {
    const receipt = await report('one-1', 'status1', { data: { a: 1 }, metadata: { b: '2' } })
    const answer = await api.send('GET', '/v1/operations/one-1')
    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe('"1"')
    expect(answer.body).toMatchObject({
      id: 'one-1',
      pipeline: { name: 'invoice', version: 1 },
      theme: null,
      state: 'active',
      tracks: { main: { phase: 'active', status: 'status1', by: 'ocr', held: [] } },
      data: { a: 1 },
      metadata: { b: '2' },
      revision: 1,
      position: receipt.body.position,
    })
    expect(typeof answer.headers['waybill-position']).toBe('string')
  })

  test('from the read model reads as it does from memory', async () => {
    const receipt = await report('one-2', 'status1', { data: { text: 'ü "quoted" \\ \u2028', n: 1.5e300 } })
    const fromMemory = await api.send('GET', '/v1/operations/one-2')
    const listed = await api.send('GET', `/v1/operations?idPrefix=one-2&minPosition=${receipt.body.position}`)
    expect(listed.body.operations).toEqual([fromMemory.body])
  })

  test('a revision the caller has is 304', async () => {
    await report('one-3', 'status1')
    const same = await api.send('GET', '/v1/operations/one-3', undefined, { 'if-none-match': '"1"' })
    expect([same.status, same.text, same.headers.etag]).toEqual([304, '', '"1"'])
    expect((await api.send('GET', '/v1/operations/one-3', undefined, { 'if-none-match': '"0"' })).status).toBe(200)
  })

  test.each([
    ['*', 304],
    ['W/"1"', 304],
    ['"0", "1"', 304],
    [' , W/"7" ,W/"1"', 304],
    ['"a,b", "1"', 304],
    ['"0", "2"', 200],
    ['"1-gzip"', 200],
    ['1', 200],
    ['"1', 200],
    ['"a" "1"', 200],
    ['"*"', 200],
  ])('If-None-Match %s is compared weakly: %i', async (tags, status) => {
    const id = `one-5-${Buffer.from(tags).toString('hex')}`
    await report(id, 'status1')
    const answer = await api.send('GET', `/v1/operations/${id}`, undefined, { 'if-none-match': tags })
    expect([answer.status, answer.headers.etag]).toEqual([status, '"1"'])
  })

  test('HEAD answers as GET does, without the body', async () => {
    await report('one-4', 'status1')
    const head = await api.send('HEAD', '/v1/operations/one-4')
    expect([head.status, head.text, head.headers.etag]).toEqual([200, '', '"1"'])
    expect(Number(head.headers['content-length'])).toBeGreaterThan(100)
    expect((await api.send('HEAD', '/v1/operations/nobody')).status).toBe(404)
  })

  test('that is parked is not said to be folded beyond what memory has of it', async () => {
    const poisoned = await startApi()
    try {
      const receipt = await poisoned.send('POST', '/v1/operations', { id: 'bad-1', pipeline: 'any' })
      await poisoned.log.append([await nextInChain(poisoned.log, 'operation-bad-1')])
      const stats = await eventually(
        () => poisoned.send('GET', '/v1/stats'),
        (answer) => answer.body.parked === 1,
      )
      const answer = await poisoned.send('GET', '/v1/operations/bad-1')
      expect(answer.body).toMatchObject({ revision: 0, parked: { revision: 1 } })
      expect(answer.headers['waybill-position']).toBe(receipt.body.position)
      const beyond = await poisoned.send('GET', `/v1/operations/bad-1?minPosition=${stats.body.position}`)
      expect(beyond.body).toMatchObject({ status: 503, code: 'not_yet_visible' })
    } finally {
      await poisoned.close()
    }
  })

  test('that is parked from its first event on is not said to be folded beyond what memory has of it', async () => {
    const refusing = await startApi()
    try {
      await refusing.sql("ALTER TABLE waybill_read.operations ADD CONSTRAINT refused CHECK (id <> 'bad-2')")
      await refusing.send('POST', '/v1/operations', { id: 'bad-2', pipeline: 'any' })
      await eventually(
        () => refusing.send('GET', '/v1/stats'),
        (answer) => answer.body.parked === 1,
      )
      const other = createCommandService({ log: refusing.log, clock: Date.now })
      const body = { type: 'ReportStatus', service: 'elsewhere', status: 'on' } as const
      const command = { operation: 'bad-2', key: 'k', requestHash: 'h', actor: 'anonymous', body }
      expect(await other.submit(command)).toMatchObject({ kind: 'accepted', revision: 1n })
      await refusing.projections.readModel.waitFor(await refusing.log.head(), patienceMs)
      const { body: stats } = await refusing.send('GET', '/v1/stats')
      const answer = await refusing.send('GET', `/v1/operations/bad-2?minPosition=${stats.position}`)
      expect(answer.body).toMatchObject({ revision: 1, tracks: { main: { status: 'on' } } })
      await other.drain()
    } finally {
      await refusing.close()
    }
  })

  test('that is not there is 404', async () => {
    const answer = await api.send('GET', '/v1/operations/nobody')
    expect(answer.body).toMatchObject({ code: 'not_found', status: 404, instance: '/v1/operations/nobody' })
    expect((await api.send('GET', '/v1/operations/nobody?consistency=strong')).status).toBe(404)
  })

  test('an unknown parameter, and an unknown consistency, are 400', async () => {
    expect((await api.send('GET', '/v1/operations/one-1?fields=id')).body.errors).toMatchObject([
      { pointer: '/fields' },
    ])
    expect((await api.send('GET', '/v1/operations/one-1?consistency=weak')).status).toBe(400)
    expect((await api.send('GET', '/v1/operations/one-1?minPosition=a&minPosition=b')).status).toBe(400)
  })
})

describe('what is written by another node', () => {
  test('is found by asking the log, before the read model has it', async () => {
    const slow = await startApi({ projecting: false })
    try {
      await slow.send('POST', '/v1/operations/far-1/reports', { service: 's', status: 'a', pipeline: 'any' })
      const other = createCommandService({ log: slow.log, clock: Date.now })
      const command = { operation: 'far-2', key: 'k', requestHash: 'h', actor: 'anonymous' }
      await other.submit({ ...command, body: { type: 'ReportStatus', service: 's', status: 'a', pipeline: 'any' } })
      expect((await slow.send('GET', '/v1/operations/far-2')).status).toBe(200)
      await other.submit({
        ...command,
        operation: 'far-1',
        key: 'k2',
        body: { type: 'ReportStatus', service: 's', status: 'b' },
      })
      await other.drain()
      const strong = await slow.send('GET', '/v1/operations/far-1?consistency=strong')
      expect(strong.body).toMatchObject({ revision: 2, tracks: { main: { status: 'b' } } })
    } finally {
      await slow.close()
    }
  })
})

describe('minPosition', () => {
  test('waits until the list shows what was written', async () => {
    const receipt = await report('min-1', 'status1')
    const list = await api.send('GET', `/v1/operations?idPrefix=min-1&minPosition=${receipt.body.position}`)
    expect(list.body.operations).toHaveLength(1)
    expect((await api.send('GET', `/v1/stats?minPosition=${receipt.body.position}`)).status).toBe(200)
  })

  test('is not taken for visible when another node has begun to fold everything anew', async () => {
    const here = await startApi()
    try {
      const receipt = await here.send('POST', '/v1/operations/min-3/reports', {
        service: 's',
        status: 'a',
        pipeline: 'any',
      })
      const paths = ['/v1/operations', '/v1/stats', '/v1/pipelines']
      const ask = (path: string) => here.send('GET', `${path}?minPosition=${receipt.body.position}`)
      for (const path of paths) expect((await ask(path)).status).toBe(200)
      // As it stands after the other node's first transaction, of which nobody has told this one.
      await here.projections.projector.stop()
      await here.sql(`TRUNCATE waybill_read.operations, waybill_read.shapes, waybill_read.pipelines;
                      UPDATE waybill_read.checkpoints SET position = 0, epoch = epoch + 1`)
      for (const path of paths) expect((await ask(path)).body, path).toMatchObject({ code: 'not_yet_visible' })
      expect((await here.send('GET', '/v1/operations')).body.operations).toEqual([])
    } finally {
      await here.close()
    }
  })

  test('that is not visible in time is 503 not_yet_visible, and says nothing against its being written', async () => {
    // Longer than a test may take: who waits is not back in time.
    const slow = await startApi({ projecting: false, limits: { waitSMax: 3_600, waitSDefault: 3_600 } })
    try {
      const receipt = await slow.send('POST', '/v1/operations/min-2/reports', {
        service: 's',
        status: 'a',
        pipeline: 'any',
      })
      const answer = await slow.send('GET', `/v1/operations?minPosition=${receipt.body.position}`, undefined, {
        prefer: 'wait=0',
      })
      expect(answer.body).toMatchObject({ code: 'not_yet_visible', status: 503 })
      expect(answer.headers['retry-after']).toBe('1')
      // This node's memory has the operation itself.
      const one = await slow.send('GET', `/v1/operations/min-2?minPosition=${receipt.body.position}`)
      expect(one.status).toBe(200)
    } finally {
      await slow.close()
    }
  })

  test('a wait ends when the service shuts down', async () => {
    const slow = await startApi({ projecting: false })
    try {
      const receipt = await slow.send('POST', '/v1/operations/min-3/reports', {
        service: 's',
        status: 'a',
        pipeline: 'any',
      })
      const answer = slow.send('GET', `/v1/stats?minPosition=${receipt.body.position}`, undefined, {
        prefer: 'wait=60',
      })
      setTimeout(() => slow.drain.abort(), 50)
      expect((await answer).body).toMatchObject({ code: 'not_yet_visible' })
    } finally {
      await slow.close()
    }
  })

  test('of another log is 410, and garbage is 400', async () => {
    const other = await startApi()
    try {
      const foreign = await other.send('POST', '/v1/operations/min-4/reports', {
        service: 's',
        status: 'a',
        pipeline: 'any',
      })
      for (const path of [
        `/v1/operations/one-1?minPosition=${foreign.body.position}`,
        `/v1/operations?minPosition=${foreign.body.position}`,
        `/v1/events?after=${foreign.body.position}`,
      ]) {
        expect((await api.send('GET', path)).body).toMatchObject({ code: 'another_log', status: 410 })
      }
    } finally {
      await other.close()
    }
    for (const token of ['', 'x', '1', 'A'.repeat(40)]) {
      expect((await api.send('GET', `/v1/stats?minPosition=${token}`)).body).toMatchObject({
        code: 'invalid',
        status: 400,
      })
    }
  })
})

describe('the list', () => {
  beforeAll(async () => {
    let last = ''
    for (const [index, status] of ['new', 'status1', 'status1', 'status2', 'done'].entries()) {
      await api.send('POST', '/v1/operations', {
        id: `list-${index}`,
        pipeline: 'invoice',
        theme: index % 2 === 0 ? 'even & odd' : null,
        metadata: { customer: `c${index % 2}`, 'a.b': 'x=y' },
      })
      last = (await report(`list-${index}`, status)).body.position
    }
    await api.send('GET', `/v1/stats?minPosition=${last}`)
  })
  const ids = async (query: string) => {
    const answer = await api.send('GET', `/v1/operations?idPrefix=list-&sort=id&${query}`)
    return answer.body.operations.map((operation: { id: string }) => operation.id)
  }

  test.each([
    ['', ['list-0', 'list-1', 'list-2', 'list-3', 'list-4']],
    ['status=status1', ['list-1', 'list-2']],
    ['track=main&status=done', ['list-4']],
    ['state=succeeded', ['list-4']],
    ['theme=even%20%26%20odd', ['list-0', 'list-2', 'list-4']],
    ['metadata.customer=c1', ['list-1', 'list-3']],
    ['metadata.customer=c1&metadata.a.b=x%3Dy&status=status2', ['list-3']],
    ['pipeline=any', []],
    ['updatedAfter=2026-01-01T00:00:00Z', ['list-0', 'list-1', 'list-2', 'list-3', 'list-4']],
    ['updatedBefore=2020-01-01T00:00:00%2B01:00', []],
  ])('filtered by %j', async (query, expected) => {
    expect(await ids(query)).toEqual(expected)
  })

  test.each(['id', '-updatedAt', 'updatedAt', '-openedAt'])(
    'sorted by %s, page by page, shows each once',
    async (sort) => {
      const whole = await api.send('GET', `/v1/operations?idPrefix=list-&sort=${sort}`)
      expect(whole.body.nextPageToken).toBe('')
      const seen: unknown[] = []
      let token: string | undefined
      do {
        const page = await api.send(
          'GET',
          `/v1/operations?idPrefix=list-&sort=${sort}&pageSize=2${token === undefined ? '' : `&pageToken=${token}`}`,
        )
        seen.push(...page.body.operations)
        token = page.body.nextPageToken
      } while (token !== '')
      expect(seen).toEqual(whole.body.operations)
    },
  )

  test('a page token holds for its filter and order only', async () => {
    const page = await api.send('GET', '/v1/operations?idPrefix=list-&pageSize=1')
    const token = page.body.nextPageToken
    for (const query of [
      `pageToken=${token}`,
      `idPrefix=list-&sort=id&pageToken=${token}`,
      'pageToken=nonsense',
      `idPrefix=list-&pageToken=${token}x`,
      'pageToken=',
    ]) {
      const answer = await api.send('GET', `/v1/operations?${query}`)
      expect(answer.body).toMatchObject({ code: 'invalid', errors: [{ in: 'query', pointer: '/pageToken' }] })
    }
    expect((await api.send('GET', `/v1/operations?idPrefix=list-&pageSize=3&pageToken=${token}`)).status).toBe(200)
  })

  test.each([
    'pageSize=0',
    'pageSize=1001',
    'pageSize=-1',
    'pageSize=1.5',
    'pageSize=',
    'pageSize=1&pageSize=2',
    'sort=-id',
    'state=gone',
    'updatedAfter=yesterday',
    'metadata.a=%00',
    'metadata=x',
    'nonsense=1',
    'idPrefix=%25',
    'status=',
    'theme=a%0Ab',
    Array.from({ length: 11 }, (_, index) => `metadata.k${index}=v`).join('&'),
  ])('%s is 400', async (query) => {
    expect((await api.send('GET', `/v1/operations?${query}`)).body).toMatchObject({ code: 'invalid', status: 400 })
  })

  test('ends a page early when its documents are large', async () => {
    const small = await startApi({ limits: { pageBytesMax: 1_500 } })
    try {
      let last = ''
      for (const id of ['a', 'b', 'c']) {
        const body = { service: 's', status: 'x', pipeline: 'any', data: { text: 'x'.repeat(1_000) } }
        last = (await small.send('POST', `/v1/operations/${id}/reports`, body)).body.position
      }
      // A step of the page is read at once: it ends after the step that goes over.
      const page = await small.send('GET', `/v1/operations?sort=id&pageSize=1&minPosition=${last}`)
      expect(page.body.operations).toHaveLength(1)
      const events = await small.send('GET', '/v1/events')
      expect(events.body.events.length).toBeLessThan(6)
      const rest = await small.send('GET', `/v1/events?after=${events.body.next}`)
      expect(rest.body.events.length).toBeGreaterThan(0)
    } finally {
      await small.close()
    }
  })
})

test('stats count operations by pipeline, state, track and status', async () => {
  const receipt = await report('stats-1', 'done')
  const stats = await api.send('GET', `/v1/stats?minPosition=${receipt.body.position}`)
  const { invoice } = stats.body.pipelines
  expect(invoice.operations).toBe(invoice.states.active + invoice.states.succeeded)
  expect(invoice.tracks.main.done).toBe(invoice.states.succeeded)
  expect(stats.body.parked).toBe(0)
  const calm = await eventually(
    () => api.send('GET', '/v1/stats'),
    (answer) => answer.body.position === answer.body.head,
  )
  expect(calm.headers['waybill-position']).toBe(calm.body.position)
})

describe('pages of operations that change while they are read', () => {
  const ids = Array.from({ length: 20 }, (_, index) => `moving-${String(index).padStart(2, '0')}`)

  /** Reads page after page; between two of them the operation at either end changes. */
  async function pass(sort: string): Promise<string[]> {
    let position = ''
    for (const id of ids) position = (await report(id, 'status1')).body.position
    const seen: string[] = []
    let pageToken = ''
    for (let page = 0; page === 0 || pageToken !== ''; page += 1) {
      const token = pageToken === '' ? '' : `&pageToken=${pageToken}`
      const query = `idPrefix=moving-&sort=${sort}&pageSize=4${token}&minPosition=${position}`
      const { body } = await api.send('GET', `/v1/operations?${query}`)
      seen.push(...body.operations.map(({ id }: { id: string }) => id))
      pageToken = body.nextPageToken
      if (page > 10) break
      for (const id of [ids[page], ids[ids.length - 1 - page]]) {
        position = (await report(id ?? '', 'status1', { data: { [sort]: page } })).body.position
      }
    }
    return seen
  }

  test('by id come once each', async () => {
    expect(await pass('id')).toEqual(ids)
  })

  test('by the time of the last change, oldest first: none is missed', async () => {
    expect(new Set(await pass('updatedAt'))).toEqual(new Set(ids))
  })
})
