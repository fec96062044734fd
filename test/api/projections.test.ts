import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { NewerSchemaError } from '../../src/operation/eventSchemas.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { patienceMs } from '../support/patience.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

const apis: ApiHarness[] = []
afterEach(async () => {
  for (const api of apis.splice(0)) await api.close()
})

async function start(options: Parameters<typeof startApi>[0] = {}): Promise<ApiHarness> {
  const api = await startApi(options)
  apis.push(api)
  await eventually(
    () => state(api),
    ({ phase }) => phase === 'live' || options.projecting === false,
  )
  return api
}

const base = '/v1/projections/operations'
const state = async (api: ApiHarness) => (await api.send('GET', base)).body
const get = async (api: ApiHarness, id: string) => (await api.send('GET', `/v1/operations/${id}`)).body

async function report(api: ApiHarness, id: string, status = 'seen'): Promise<string> {
  const answer = await api.send('POST', `/v1/operations/${id}/reports`, { service: 's', status, pipeline: 'any' })
  expect([200, 201]).toContain(answer.status)
  return answer.body.position
}

/** An event that no node writes, at the end of an operation that `report` has opened; the list shows it then. */
async function poison(api: ApiHarness, id: string): Promise<number> {
  const [outcome] = await api.log.append([await nextInChain(api.log, `operation-${id}`)])
  if (outcome?.kind !== 'appended') throw new Error(`not appended: ${outcome?.kind}`)
  expect(await api.projections.readModel.waitFor(outcome.position, patienceMs)).toBe(true)
  return Number(outcome.revision)
}

describe('a projection', () => {
  test('is listed with where it stands, who has it, and what is set aside', async () => {
    const api = await start()
    const position = await report(api, 'op-1')
    await api.send('GET', `/v1/stats?minPosition=${position}`)
    const shown = await state(api)
    expect(shown).toEqual({
      name: 'operations',
      state: 'running',
      position,
      head: position,
      lagEvents: 0,
      lagMs: expect.any(Number),
      parked: 0,
      tampered: 0,
      epoch: 1,
      foldVersion: expect.any(Number),
      owner: { node: expect.stringMatching(/.\/\d+$/), since: expect.any(String) },
      paused: null,
      rebuild: null,
      phase: 'live',
    })
    expect((await api.send('GET', '/v1/projections')).body.projections).toMatchObject([
      { name: 'operations', position },
    ])
  })

  test('of another name is 404, whatever is asked of it', async () => {
    const api = await start()
    for (const path of ['', '/parked', `/rebuilds/${randomUUID()}`]) {
      expect((await api.send('GET', `/v1/projections/nothing${path}`)).body).toMatchObject({ code: 'not_found' })
    }
    for (const [path, body] of [
      ['rebuild', {}],
      ['pause', {}],
      ['resume', {}],
      ['parked/operation-x/retry', {}],
      ['parked/operation-x/skip', { revision: 0, reason: 'r' }],
    ] as const) {
      expect((await api.send('POST', `/v1/projections/nothing/${path}`, body)).body).toMatchObject({
        code: 'not_found',
      })
    }
    expect((await api.send('GET', `${base}/rebuilds/${randomUUID()}`)).status).toBe(404)
    expect((await api.send('GET', `${base}/rebuilds/x`)).status).toBe(400)
    expect((await api.send('DELETE', base)).status).toBe(405)
    expect((await api.send('POST', `${base}/pause`, { more: 1 })).status).toBe(400)
  })
})

describe('a pause', () => {
  test('is in force once answered: nothing more is folded, reads go on and say how stale they are', async () => {
    const api = await start()
    const before = await report(api, 'op-1')
    await api.send('GET', `/v1/stats?minPosition=${before}`)
    const paused = (await api.send('POST', `${base}/pause`, {})).body
    expect(paused).toMatchObject({ state: 'paused', paused: { by: 'anonymous' } })
    const written = await report(api, 'op-2')
    await eventually(
      () => state(api),
      ({ phase, lagMs }) => phase === 'paused' && lagMs > 0,
    )
    // The record of the pause itself comes before or after the place where it took hold.
    const lagEvents = paused.position === before ? 3 : 2
    expect(await state(api)).toMatchObject({ position: paused.position, head: written, lagEvents })
    const list = await api.send('GET', '/v1/operations')
    expect(list.body.operations.map(({ id }: { id: string }) => id)).toEqual(['op-1'])
    expect(list.headers['waybill-position']).toBe(paused.position)
    const late = await api.send('GET', `/v1/operations?minPosition=${written}`, undefined, { prefer: 'wait=0' })
    expect(late.body).toMatchObject({ code: 'not_yet_visible' })
    expect((await api.send('GET', '/v1/operations/op-2?consistency=strong')).status).toBe(200)

    const ready = await api.send('GET', '/readyz?verbose')
    expect(ready.status).toBe(200)
    expect(JSON.stringify(ready.body.checks)).toContain('paused')
    expect((await api.send('GET', '/metrics')).text).toMatch(/^waybill_projection_paused 1$/m)
    expect((await api.send('POST', `${base}/rebuild`, {})).body).toMatchObject({ code: 'projection_paused' })

    // Who paused it first is kept.
    const again = (await api.send('POST', `${base}/pause`, {})).body
    expect([again.paused, again.epoch >= paused.epoch]).toEqual([paused.paused, true])
    expect((await api.send('POST', `${base}/resume`, {})).body).toMatchObject({ state: 'running', paused: null })
    expect((await api.send('GET', `/v1/operations?minPosition=${written}`)).body.operations).toHaveLength(2)
    expect((await api.send('POST', `${base}/resume`, {})).status).toBe(200)
    expect((await api.send('GET', '/metrics')).text).toMatch(/^waybill_projection_paused 0$/m)
  })
})

describe('a rebuild', () => {
  test('is done by the node that projects, and tells how far it is until it has ended', async () => {
    const api = await start()
    const position = await report(api, 'op-1')
    await api.send('GET', `/v1/stats?minPosition=${position}`)
    const asked = await api.send('POST', `${base}/rebuild`, {})
    expect(asked.status).toBe(202)
    expect(asked.body).toMatchObject({ askedBy: 'anonymous', endedAt: null, outcome: null })
    const ended = await eventually(
      async () => (await api.send('GET', `${base}/rebuilds/${asked.body.id}`)).body,
      ({ endedAt }) => endedAt !== null,
    )
    expect(ended).toMatchObject({ outcome: 'done', problem: null, attempts: 1, node: expect.any(String) })
    expect((await state(api)).rebuild).toEqual(ended)
  })

  test('is one at a time, and waits for a node that projects', async () => {
    const api = await start({ projecting: false })
    const asked = await api.send('POST', `${base}/rebuild`, {})
    const second = await api.send('POST', `${base}/rebuild`, {})
    expect([second.status, second.body.code]).toEqual([409, 'rebuild_under_way'])
    expect(second.body.detail).toContain(asked.body.id)
    expect((await state(api)).state).toBe('rebuilding')
    api.projections.projector.start()
    await eventually(
      async () => (await api.send('GET', `${base}/rebuilds/${asked.body.id}`)).body,
      ({ outcome }) => outcome === 'done',
    )
    expect((await api.send('POST', `${base}/rebuild`, {})).status).toBe(202)
  })

  test('that cannot be done is given up, and says why', async () => {
    let broken = false
    const api = await start({
      wrapLog: (log) => ({
        ...log,
        logId: log.logId,
        append: (batch) => log.append(batch),
        readEvent: (stream, id) => log.readEvent(stream, id),
        readStream: (stream, options) => log.readStream(stream, options),
        readAll: (options) => (broken ? Promise.reject(new NewerSchemaError('no pages today')) : log.readAll(options)),
        subscribe: (options) => log.subscribe(options),
        head: () => log.head(),
        close: () => log.close(),
      }),
    })
    await report(api, 'op-1')
    broken = true
    const { id } = (await api.send('POST', `${base}/rebuild`, {})).body
    const ended = await eventually(
      async () => (await api.send('GET', `${base}/rebuilds/${id}`)).body,
      ({ endedAt }) => endedAt !== null,
    )
    expect(ended).toMatchObject({ outcome: 'failed', attempts: 1, problem: 'no pages today' })
    expect((await api.send('GET', '/v1/operations/op-1')).status).toBe(200)
  })
})

describe('parked streams', () => {
  test('are listed page by page, with the event they stop at', async () => {
    const api = await start()
    for (const id of ['op-1', 'op-2', 'op-3']) await report(api, id)
    for (const id of ['op-3', 'op-1', 'op-2']) await poison(api, id)
    const first = (await api.send('GET', `${base}/parked?pageSize=2`)).body
    expect(first.parked).toMatchObject([{ stream: 'operation-op-1' }, { stream: 'operation-op-2' }])
    expect(first.parked[0]).toMatchObject({
      revision: 2,
      reason: 'malformed_event',
      since: '2026-01-01T00:00:00.000Z',
      position: expect.any(String),
    })
    const rest = (await api.send('GET', `${base}/parked?pageSize=2&pageToken=${first.nextPageToken}`)).body
    expect(rest).toMatchObject({ parked: [{ stream: 'operation-op-3' }], nextPageToken: '' })
    for (const wrong of ['pageSize=0', 'pageSize=101', 'pageToken=x', 'more=1']) {
      expect((await api.send('GET', `${base}/parked?${wrong}`)).status).toBe(400)
    }
    expect((await state(api)).parked).toBe(3)
  })

  test('are un-parked by a skip of just the event they stop at, which is in the log with its reason and actor', async () => {
    const api = await start()
    await report(api, 'op-1')
    const revision = await poison(api, 'op-1')
    const path = `${base}/parked/operation-op-1/skip`
    for (const wrong of [revision - 1, revision + 1]) {
      const answer = await api.send('POST', path, { revision: wrong, reason: 'r' })
      expect([answer.status, answer.body.code, answer.body.revision]).toEqual([409, 'not_parked', revision])
    }
    for (const body of [{}, { revision }, { reason: 'r' }, { revision, reason: '' }, { revision: -1, reason: 'r' }]) {
      expect((await api.send('POST', path, body)).status).toBe(400)
    }
    const elsewhere = await api.send('POST', `${base}/parked/operation-op-9/skip`, { revision: 0, reason: 'r' })
    expect([elsewhere.status, elsewhere.body.code]).toEqual([409, 'not_parked'])

    const key = { 'idempotency-key': 'skip-1' }
    const done = await api.send('POST', path, { revision, reason: 'written by hand' }, key)
    expect([done.status, done.body]).toMatchObject([
      200,
      { outcome: 'unparked', parked: null, command: 'skip-1', stream: 'operation-op-1', revision: 0 },
    ])
    const row = await get(api, 'op-1')
    expect([row.parked, row.revision]).toEqual([undefined, revision])
    // A retry gets its receipt; the same key for something else is refused; what is skipped is parked no more.
    const again = await api.send('POST', path, { revision, reason: 'written by hand' }, key)
    expect([again.status, again.body.position]).toEqual([200, done.body.position])
    expect((await api.send('POST', path, { revision, reason: 'another' }, key)).body.code).toBe('key_reused')
    expect((await api.send('POST', path, { revision, reason: 'r' })).body.code).toBe('not_parked')

    const { events } = (await api.send('GET', '/v1/events?pageSize=1000')).body
    const own = events.filter(({ stream }: { stream: string }) => stream === 'projection-operations')
    expect(own).toHaveLength(1)
    expect(own[0]).toMatchObject({
      stream: 'projection-operations',
      type: 'EventSkipped',
      revision: 0,
      data: { stream: 'operation-op-1', revision, reason: 'written by hand' },
      metadata: { actor: 'anonymous', command: 'skip-1', schemaVersion: 2 },
    })
  })

  test('that still cannot be folded stay parked after a retry, which says so', async () => {
    const api = await start()
    await report(api, 'op-1')
    const revision = await poison(api, 'op-1')
    const path = `${base}/parked/operation-op-1`
    const key = { 'idempotency-key': 'retry-1' }
    const retried = await api.send('POST', `${path}/retry`, { reason: 'new version' }, key)
    expect([retried.status, retried.body]).toMatchObject([200, { outcome: 'parked', parked: { revision } }])
    await api.send('POST', `${path}/skip`, { revision, reason: 'r' })
    expect((await api.send('POST', `${path}/retry`, {})).body.code).toBe('not_parked')
    const again = await api.send('POST', `${path}/retry`, { reason: 'new version' }, key)
    expect([again.status, again.body]).toMatchObject([200, { outcome: 'unparked', position: retried.body.position }])
  })

  test('raced for by two skips are skipped once', async () => {
    const api = await start()
    await report(api, 'op-1')
    const revision = await poison(api, 'op-1')
    const skip = () => api.send('POST', `${base}/parked/operation-op-1/skip`, { revision, reason: 'r' })
    const answers = await Promise.all([skip(), skip(), skip()])
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409, 409])
    const log = await api.log.readStream('projection-operations', { maxCount: 10 })
    expect(log).toHaveLength(1)
  })

  test('are skipped while paused too: recorded, and done once it goes on', async () => {
    const api = await start()
    await report(api, 'op-1')
    const revision = await poison(api, 'op-1')
    await report(api, 'op-2')
    const other = await poison(api, 'op-2')
    await api.send('POST', `${base}/pause`, {})
    const skip = (id: string, at: number) =>
      api.send('POST', `${base}/parked/operation-${id}/skip`, { revision: at, reason: 'r' })
    const recorded = await skip('op-1', revision)
    expect([recorded.status, recorded.body]).toMatchObject([202, { outcome: 'pending', parked: null }])
    expect((await skip('op-2', other)).body.code).toBe('projection_paused')
    expect((await get(api, 'op-1')).parked).toMatchObject({ revision })
    await api.send('POST', `${base}/resume`, {})
    expect((await api.send('GET', `/v1/stats?minPosition=${recorded.body.position}`)).body.parked).toBe(1)
    expect((await get(api, 'op-1')).parked).toBeUndefined()
    expect((await skip('op-2', other)).status).toBe(200)
  })
})
