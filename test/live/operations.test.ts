import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operation } from '../../src/api/contract/operations.ts'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { matchesFilter, type OperationFilter } from '../../src/projections/queries/changedOperations.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { patienceMs } from '../support/patience.ts'
import { dataOf, type LiveHarness, type Reader, startLive } from './liveHarness.ts'

let live: LiveHarness
let log: EventLog
const readers: Reader[] = []

beforeAll(async () => {
  live = await startLive()
  log = live.log
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

const told = (reader: Reader) =>
  reader.messages.map((message) => `${message.event} ${dataOf(message).id}@${dataOf(message).revision}`)

describe('GET /v1/operations/stream', () => {
  test('tells each operation in its newest form, then each time it has changed', async () => {
    await live.report('a', 'one')
    await live.report('b', 'one')
    const { position } = await live.report('a', 'two')
    await live.projections.readModel.waitFor(await log.head(), patienceMs)
    const reader = await open('/v1/operations/stream')
    await reader.until((messages) => messages.length === 2)
    expect(told(reader)).toEqual(['operation b@1', 'operation a@2'])
    expect(reader.messages[1]?.id).toBe(position)
    await live.report('b', 'two')
    await reader.until((messages) => messages.length === 3)
    for (const message of reader.messages) expect(operation.parse(dataOf(message)).position).toBe(message.id)
    expect(dataOf(reader.messages[2])).toEqual((await live.send('GET', '/v1/operations/b')).body)
  })

  test('tells an operation that was set aside again once it is skipped, now and to who comes back later', async () => {
    await live.report('parked', 'one')
    const stream = 'operation-parked'
    await log.append([await nextInChain(log, stream)])
    await live.projections.readModel.waitFor(await log.head(), patienceMs)
    const reader = await open('/v1/operations/stream?idPrefix=parked')
    await reader.until((messages) => messages.length === 1)
    expect(dataOf(reader.messages[0]).parked).toMatchObject({ revision: 2 })
    const path = `/v1/projections/operations/parked/${stream}/skip`
    const { body } = await live.send('POST', path, { revision: 2, reason: 'a test' })
    await reader.until((messages) => messages.length === 2)
    expect([dataOf(reader.messages[1]).parked, reader.messages[1]?.id]).toEqual([undefined, body.position])
    const later = await open('/v1/operations/stream?idPrefix=parked', {
      'last-event-id': reader.messages[0]?.id ?? '',
    })
    await later.until((messages) => messages.length === 1)
    expect(dataOf(later.messages[0])).toEqual(dataOf(reader.messages[1]))
  })

  test('is told after the checkpoint: who refetches sees what it was told, or more', async () => {
    const reader = await open('/v1/operations/stream?after=head&idPrefix=seen')
    let checked = 0
    const refetches: Promise<void>[] = []
    const reports = (async () => {
      for (let round = 0; round < 30; round += 1) {
        await Promise.all([0, 1, 2].map((n) => live.report(`seen-${n}`, `s${round}`)))
      }
    })()
    await reader.until((messages) => {
      for (const message of messages.slice(checked)) {
        const { id, revision } = dataOf(message)
        refetches.push(
          live.projections.readModel.operation(id).then(({ value }) => {
            expect(Number(value?.revision ?? -1)).toBeGreaterThanOrEqual(revision)
          }),
        )
      }
      checked = messages.length
      return [0, 1, 2].every((n) => messages.some((m) => dataOf(m).id === `seen-${n}` && dataOf(m).revision === 30))
    })
    await reports
    await Promise.all(refetches)
    expect(new Set(told(reader)).size).toBe(reader.messages.length)
  })

  test('tells of one that no longer matches that it left, live and after a resume', async () => {
    const path = '/v1/operations/stream?idPrefix=leaving&state=active'
    const reader = await open(path)
    await live.report('leaving-1', 'one')
    await live.report('leaving-2', 'one')
    await reader.until((messages) => messages.length >= 2)
    const before = reader.messages.find((message) => dataOf(message).id === 'leaving-2')?.id ?? ''
    await live.report('leaving-1', 'over', { final: 'succeeded' })
    const { position } = await live.report('leaving-2', 'over', { final: 'failed' })
    await reader.until((messages) => messages.filter(({ event }) => event === 'left').length === 2)
    expect(told(reader).slice(-2)).toEqual(['left leaving-1@2', 'left leaving-2@2'])
    expect(dataOf(reader.messages.at(-1))).toEqual({ id: 'leaving-2', revision: 2, position })
    // It is not told again of one that has left and changes further.
    await live.report('leaving-1', 'later')
    await live.report('leaving-3', 'one')
    await reader.until((messages) => dataOf(messages.at(-1)).id === 'leaving-3')
    expect(told(reader).filter((text) => text.startsWith('left'))).toHaveLength(2)

    const resumed = await open(path, { 'last-event-id': before })
    await resumed.until((messages) => messages.length >= 3)
    expect(told(resumed)).toEqual(['left leaving-2@2', 'left leaving-1@3', 'operation leaving-3@1'])
    const fresh = await open(path)
    await fresh.until((messages) => messages.length >= 1)
    expect(told(fresh)).toEqual(['operation leaving-3@1'])
  })

  test('an operation that keeps changing is told all the while', async () => {
    const reader = await open('/v1/operations/stream?after=head&idPrefix=hot')
    for (let n = 0; n < 60; n += 1) await live.report('hot', `s${n}`)
    await reader.until((messages) => dataOf(messages.at(-1)).revision === 60)
    expect(reader.messages.length).toBeGreaterThan(3)
  })

  test('loses and doubles nothing while the read model is rebuilt', async () => {
    const reader = await open('/v1/operations/stream?after=head&idPrefix=rebuilt')
    let done = false
    const rebuilds = (async () => {
      for (let round = 0; round < 5; round += 1) await live.projections.projector.rebuild()
      done = true
    })()
    let last = 0
    for (let round = 0; !done; round += 1) {
      const reports = [0, 1, 2, 3].map((n) => live.report(`rebuilt-${n}`, `s${round}`))
      for (const { revision } of await Promise.all(reports)) last = revision
    }
    await rebuilds
    const ends = [0, 1, 2, 3].map((n) => `operation rebuilt-${n}@${last}`)
    await reader.until(() => ends.every((end) => told(reader).includes(end)))
    expect(new Set(told(reader)).size).toBe(reader.messages.length)
    const positions = reader.messages.map(({ id }) => id)
    expect(positions).toEqual([...positions].sort(byPlace))
    const other = await open('/v1/operations/stream?idPrefix=rebuilt')
    await other.until((messages) => messages.length === 4)
    expect(told(other).sort()).toEqual(ends)
  })

  test('refuses what is no filter', async () => {
    for (const query of ['sort=id', 'pageSize=5', 'minPosition=x', 'nonsense=1', 'state=odd']) {
      expect((await live.send('GET', `/v1/operations/stream?${query}`)).status, query).toBe(400)
    }
    expect((await live.send('GET', `/v1/operations/stream?after=${'A'.repeat(22)}5`)).body.code).toBe('another_log')
    expect((await live.send('GET', '/v1/operations/stream', undefined, { accept: 'text/html' })).status).toBe(406)
    expect((await live.send('HEAD', '/v1/operations/stream')).headers['content-type']).toBe('text/event-stream')
    expect(live.errors).toEqual([])
  })
})

test('across any disconnections no form comes twice, ids only grow, and the reader ends with what the list shows', async () => {
  const plans = fc.record({
    cuts: fc.array(fc.nat(25), { minLength: 1, maxLength: 5 }),
    seed: fc.array(fc.record({ operation: fc.nat(5), final: fc.nat(9) }), { minLength: 10, maxLength: 60 }),
  })
  let run = 0
  await fc.assert(
    fc.asyncProperty(plans, async ({ cuts, seed }) => {
      run += 1
      const prefix = `mirror-${run}-`
      const path = `/v1/operations/stream?idPrefix=${prefix}&state=active`
      const mirror = new Map<string, number>()
      const forms = new Set<string>()
      const ids: string[] = []
      let lastId = ''
      const reports = (async () => {
        for (const [n, { operation: o, final }] of seed.entries()) {
          // Once over it stays so in pipeline any; the last word is what the list says.
          await live.report(`${prefix}${o}`, `s${n}`, final === 0 ? { final: 'succeeded' } : {})
        }
      })()
      const take = (reader: Reader) => {
        for (const message of reader.messages) {
          const { id, revision } = dataOf(message)
          const form = `${id}@${revision}`
          expect(forms.has(form), form).toBe(false)
          forms.add(form)
          ids.push(message.id)
          if (message.event === 'operation') mirror.set(id, revision)
          else mirror.delete(id)
        }
        lastId = reader.lastId()
      }
      for (const cut of cuts) {
        const reader = await open(path, lastId === '' ? {} : { 'last-event-id': lastId })
        await Promise.race([reader.until((messages) => messages.length >= cut).catch(() => undefined), reports])
        reader.close()
        take(reader)
      }
      await reports
      const last = await open(path, { 'last-event-id': lastId })
      await live.projections.readModel.waitFor(await log.head(), patienceMs)
      const { operations } = (await live.send('GET', `/v1/operations?idPrefix=${prefix}&state=active&pageSize=100`))
        .body
      const shown = new Map<string, number>(operations.map((o: { id: string; revision: number }) => [o.id, o.revision]))
      await last.until((messages) => {
        const now = new Map(mirror)
        for (const message of messages) {
          const { id, revision } = dataOf(message)
          if (message.event === 'operation') now.set(id, revision)
          else now.delete(id)
        }
        return now.size === shown.size && [...shown].every(([id, revision]) => now.get(id) === revision)
      })
      last.close()
      take(last)
      expect(ids).toEqual([...ids].sort(byPlace))
    }),
    { numRuns: 10 },
  )
})

const byPlace = (one: string, other: string) =>
  Number.parseInt(one.slice(22), 36) - Number.parseInt(other.slice(22), 36)

/** `f4` holds a report; `f5` is blocked, as its join can no longer be met; `f6` is on its way. */
async function reportOnJoins(): Promise<void> {
  await live.send('PUT', '/v1/pipelines/joined', {
    outOfOrder: 'hold',
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['read'], read: ['done'] },
        final: { done: 'succeeded' },
        requires: { done: [{ track: 'check', in: ['passed'] }] },
      },
      check: {
        initial: 'queued',
        transitions: { queued: ['passed', 'broken'] },
        final: { passed: 'succeeded', broken: 'failed' },
        startsWhen: { track: 'main', in: ['read'] },
      },
    },
  })
  const joined = { pipeline: 'joined', track: 'main' }
  await live.report('f4', 'done', joined)
  await live.report('f5', 'read', joined)
  await live.report('f5', 'broken', { ...joined, track: 'check' })
  await live.report('f6', 'read', joined)
}

test('the filter of streams and that of lists are one', async () => {
  const any = (text: string) => ({ pipeline: 'any', ...JSON.parse(text) })
  const bodies = [
    any('{"id":"f1","theme":"red","metadata":{"n":1,"s":"1","o":{"x":1},"t":true}}'),
    any('{"id":"f2","metadata":{"n":"1","z":null,"deep":{"n":1}}}'),
    any('{"id":"f3","theme":"blue"}'),
  ]
  for (const body of bodies) await live.send('POST', '/v1/operations', body)
  await live.report('f1', 'x')
  await live.report('f2', 'x', { final: 'failed' })
  await reportOnJoins()
  const { updatedAt } = (await live.send('GET', '/v1/operations/f1?consistency=strong')).body
  await live.projections.readModel.waitFor(await log.head(), patienceMs)
  const { value } = await live.projections.readModel.operationsById(['f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'a'])
  expect(value.map(({ traits }) => traits)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ held: true, blocked: false, failed: false }),
      expect.objectContaining({ held: false, blocked: true, failed: true, state: 'active' }),
    ]),
  )
  const one = <T>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined, freq: 3 })
  const some = (...values: string[]) =>
    fc.option(fc.oneof(fc.constantFrom(...values), fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 })), {
      nil: undefined,
      freq: 3,
    })
  const filters = fc.record({
    pipeline: some('any', 'joined', 'other'),
    track: one('main', 'check', 'other'),
    status: some('x', 'two', 'read', 'broken', 'none'),
    state: some('active', 'failed'),
    idPrefix: one('f', 'f1', 'a'),
    theme: one('red', 'blue'),
    held: one(true, false),
    blocked: one(true, false),
    anyTrack: one('failed' as const),
    updatedAfter: one(updatedAt, '2020-01-01T00:00:00.000Z'),
    updatedBefore: one(updatedAt, '2999-01-01T00:00:00.000Z'),
    metadata: one<Record<string, string>>({ n: '1' }, { s: '1' }, { o: '{"x":1}' }, { t: 'true' }, { z: 'null' }),
  })
  await fc.assert(
    fc.asyncProperty(filters, async (asked) => {
      const filter: OperationFilter = JSON.parse(JSON.stringify(asked))
      const listed = await live.projections.readModel.operations({ ...filter, sort: 'id', pageSize: 100 })
      const known = new Set(value.map(({ row }) => row.id))
      const inList = listed.value.map(({ id }) => id).filter((id) => known.has(id))
      const matching = value.filter(({ traits }) => matchesFilter(filter, traits)).map(({ row }) => row.id)
      expect(matching.sort()).toEqual(inList.sort())
    }),
    { numRuns: 300 },
  )
})
