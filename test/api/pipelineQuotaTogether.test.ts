import { afterEach, expect, test } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { pipelinesStream } from '../../src/operation/streamName.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { createMigratedDatabase } from '../support/database.ts'
import { type Answer, type ApiHarness, linear, startApi } from './apiHarness.ts'
import { failingLog } from './failingLog.ts'

const pipelinesMax = 4
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function start(options: Parameters<typeof startApi>[0] = {}): Promise<ApiHarness> {
  const api = await startApi({ ...options, limits: { pipelinesMax } })
  closing.push(() => api.close())
  return api
}

const put = (api: ApiHarness, name: string, definition: unknown = linear, key = `define-${name}`): Promise<Answer> =>
  api.send('PUT', `/v1/pipelines/${name}`, definition, { 'idempotency-key': key })

const statusCounts = (answers: readonly Answer[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

async function pipelinesOfLog(log: EventLog): Promise<string[]> {
  const events = await log.readAll({ after: 0n, maxCount: 10_000 })
  return [...new Set(events.filter(({ type }) => type === 'PipelineDefined').map(({ stream }) => stream))]
}

test('of 30 definitions sent to a node at once, as many are taken as there is room for', async () => {
  const api = await start()
  const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => put(api, `p-${n}`)))
  expect(statusCounts(answers)).toEqual({ 201: pipelinesMax, 413: 30 - pipelinesMax })
  expect(await pipelinesOfLog(api.log)).toHaveLength(pipelinesMax)
  const refused = answers.find(({ status }) => status === 413)
  expect(refused?.body).toMatchObject({ code: 'too_large', command: expect.any(String) })
  expect(refused?.body.detail).toContain(`${pipelinesMax} pipelines`)
})

test('two nodes on one log take no more together, and each tells what the other defined', async () => {
  const database = await createMigratedDatabase()
  closing.push(() => database.drop())
  const { connectionString } = database
  const nodes: ApiHarness[] = []
  for (let n = 0; n < 2; n += 1) {
    const log = await openPostgresEventLog({ connectionString })
    nodes.push(await start({ wrapLog: () => log }))
  }
  const answers = await Promise.all(
    // Some names are sent to both.
    nodes.flatMap((node, n) => Array.from({ length: 15 }, (_, i) => put(node, `p-${i < 5 ? i : `${n}-${i}`}`))),
  )
  const [first] = nodes
  if (first === undefined) throw new Error('no node')
  const defined = await pipelinesOfLog(first.log)
  expect(defined).toHaveLength(pipelinesMax)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 413]))
  for (const node of nodes) {
    for (const stream of defined) {
      const name = stream.slice('pipeline-'.length)
      expect((await put(node, name, linear, 'again')).body).toMatchObject({ outcome: 'unchanged' })
    }
    expect((await put(node, 'one-more')).status).toBe(413)
  }
  const places = await first.log.readStream(pipelinesStream, { maxCount: 100 })
  expect(verifyStream(places).kind).toBe('intact')
  expect(places.map(({ type }) => type)).toEqual(Array.from({ length: pipelinesMax }, () => 'PipelineRegistered'))
})

test('while the read model is away, the limit holds by what the log says', async () => {
  const api = await start()
  expect((await put(api, 'before')).status).toBe(201)
  await api.projections.close()
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => put(api, `p-${n}`)))
  expect(statusCounts(answers)).toEqual({ 201: pipelinesMax - 1, 413: 10 - (pipelinesMax - 1) })
  expect((await put(api, 'before', { ...linear, outOfOrder: 'hold' }, 'second')).body).toMatchObject({ version: 2 })
})

test('a log that has counted none yet asks the read model first: without it a new pipeline is 503, not taken blindly', async () => {
  const api = await start()
  await api.commands.definePipeline({ name: 'older', definition: linear, key: 'k', actor: 'a' })
  await api.projections.close()
  const refused = await put(api, 'first')
  expect([refused.status, refused.body.code]).toEqual([503, 'read_model_unavailable'])
  expect(refused.headers['retry-after']).toBeDefined()
  expect((await put(api, 'older', { ...linear, outOfOrder: 'hold' })).body).toMatchObject({ version: 2 })
})

test('pipelines of before the count are counted, and stay however many they are', async () => {
  const api = await start()
  let position = 0n
  for (let n = 0; n < pipelinesMax + 2; n += 1) {
    const result = await api.commands.definePipeline({ name: `old-${n}`, definition: linear, key: 'k', actor: 'a' })
    if (result.kind === 'defined') position = result.record.position
  }
  expect(await api.projections.readModel.waitFor(position, 60_000)).toBe(true)
  expect((await put(api, 'new')).status).toBe(413)
  expect((await put(api, 'old-1', { ...linear, outOfOrder: 'hold' })).body).toMatchObject({ version: 2 })
})

test('a definition that found its place and then failed uses that place when it is sent again', async () => {
  let fails = false
  const api = await start({
    wrapLog: (log) => failingLog(log, ({ stream }) => (fails && stream === 'pipeline-lost' ? 'unavailable' : null)),
  })
  fails = true
  for (let n = 0; n < 3; n += 1) expect((await put(api, 'lost', linear, `try-${n}`)).status).toBe(503)
  fails = false
  for (const name of ['a', 'b', 'c']) expect((await put(api, name)).status).toBe(201)
  expect((await put(api, 'd')).status).toBe(413)
  expect((await put(api, 'lost')).status).toBe(201)
})

test('what is no pipeline takes no place', async () => {
  const api = await start()
  for (let n = 0; n < 10; n += 1) expect((await put(api, `bad-${n}`, { statuses: [] })).status).toBe(400)
  const expecting = { 'idempotency-key': 'k', 'if-match': '"3"' }
  expect((await api.send('PUT', '/v1/pipelines/absent', linear, expecting)).status).toBe(412)
  for (const name of ['a', 'b', 'c', 'd']) expect((await put(api, name)).status).toBe(201)
})
