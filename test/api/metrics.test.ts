import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CachedRead } from '../../src/api/cachedRead.ts'
import { largest, operationMetrics, type Sample } from '../../src/api/operationMetrics.ts'
import { ReadModelUnavailableError, type Stats } from '../../src/projections/readModel.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const report = (id: string, body: object) =>
  api.send('POST', `/v1/operations/${id}/reports`, { service: 'scan', pipeline: 'any', ...body })
const scrape = async () => (await api.send('GET', '/metrics')).text.split('\n')

test('reports are counted by pipeline, service, outcome and reason, the refused ones too', async () => {
  await report('one', { status: 'a', sequence: 2 })
  await report('one', { status: 'b', sequence: 1 })
  await report('two', { status: 'a', service: 'say "hi"\\', pipeline: 'nobody-defined-it' })
  const lines = await scrape()
  expect(lines).toContain('waybill_reports_total{pipeline="any",service="scan",outcome="applied",reason=""} 1')
  expect(lines).toContain(
    'waybill_reports_total{pipeline="any",service="scan",outcome="ignored",reason="older_sequence"} 1',
  )
  expect(lines).toContain(
    'waybill_reports_total{pipeline="unknown",service="say \\"hi\\"\\\\",outcome="refused",reason="not_found"} 1',
  )
  expect(lines).toContain('waybill_appends_total{outcome="unavailable"} 0')
  expect(lines.find((line) => line.startsWith('waybill_appends_total{outcome="appended"}'))).toMatch(/ [1-9]\d*$/)
})

test('operations are counted by status and by state, and the longest time in each status is told', async () => {
  const counting = await startApi()
  try {
    const send = (id: string, body: object) =>
      counting.send('POST', `/v1/operations/${id}/reports`, { service: 's', pipeline: 'any', ...body })
    await send('one', { status: 'a' })
    await send('two', { status: 'a' })
    const { body } = await send('three', { status: 'b', final: 'succeeded' })
    // The list is from the read model.
    expect((await counting.send('GET', `/v1/operations?minPosition=${body.position}`)).status).toBe(200)
    const { text } = await counting.send('GET', '/metrics')
    const lines = text.split('\n')
    expect(lines).toContain('waybill_read_model_up 1')
    expect(lines).toContain('waybill_operations{pipeline="any",track="main",status="a"} 2')
    expect(lines).toContain('waybill_operations{pipeline="any",track="main",status="b"} 1')
    expect(lines).toContain('waybill_operations_state{pipeline="any",state="active"} 2')
    expect(lines).toContain('waybill_operations_state{pipeline="any",state="succeeded"} 1')
    const oldest = lines.filter((line) => line.startsWith('waybill_oldest_in_status_seconds'))
    expect(oldest).toEqual([expect.stringMatching(/\{pipeline="any",track="main",status="a"\} \d+(\.\d+)?$/)])
  } finally {
    await counting.close()
  }
})

test('readiness is told, as a whole and by check', async () => {
  await eventually(scrape, (lines) => lines.includes('waybill_ready 1'))
  expect(await scrape()).toContain('waybill_readiness_check{check="read model"} 1')
  const closing = await startApi()
  try {
    closing.drain.abort()
    const { text } = await closing.send('GET', '/metrics')
    expect(text).toMatch(/^waybill_ready 0$/m)
    expect(text).toMatch(/^waybill_readiness_check\{check="service"\} 0$/m)
  } finally {
    await closing.close()
  }
})

/** A read model whose answers, and a clock whose time, a test decides. */
function scene() {
  const registry = new Registry()
  const now = { ms: 1_000_000 }
  const asked = { stats: 0, oldest: 0 }
  const answer: { stats: Stats; up: boolean } = { stats: { pipelines: {}, parked: 0 }, up: true }
  const answered = async <T>(value: T) => {
    if (!answer.up) throw new ReadModelUnavailableError('down')
    return { value, position: 0n }
  }
  const readModel = {
    stats() {
      asked.stats += 1
      return answered(answer.stats)
    },
    oldestInStatus() {
      asked.oldest += 1
      return answered([{ pipeline: 'p', track: 't', status: 's', sinceAtMs: 990_000 }])
    },
  }
  operationMetrics(registry, readModel, { nowMs: () => now.ms, monotonicMs: () => now.ms })
  const samples = async () => (await registry.metrics()).split('\n').filter((line) => /^\w/.test(line))
  return { now, asked, answer, samples }
}

test('the database is asked once for several scrapes, and ages grow meanwhile', async () => {
  const { now, asked, samples } = scene()
  await Promise.all([samples(), samples()])
  now.ms += 4_000
  expect(await samples()).toContain('waybill_oldest_in_status_seconds{pipeline="p",track="t",status="s"} 14')
  expect(asked).toEqual({ stats: 1, oldest: 1 })
  now.ms += 2_000
  await samples()
  expect(asked).toEqual({ stats: 2, oldest: 1 })
  now.ms += 20_000
  await samples()
  expect(asked).toEqual({ stats: 3, oldest: 2 })
})

test('a database that is away fails no scrape: it is told, and nothing is shown that is no longer known', async () => {
  const { now, answer, samples } = scene()
  expect(await samples()).toContain('waybill_read_model_up 1')
  answer.up = false
  now.ms += 60_000
  expect(await samples()).toEqual(['waybill_read_model_up 0'])
  answer.up = true
  answer.stats = { pipelines: {}, parked: 3 }
  expect(await samples()).toEqual(expect.arrayContaining(['waybill_read_model_up 1', 'waybill_parked_streams 3']))
})

test('of more statuses than a scraper should keep, the largest are named and the others counted together', () => {
  const samples: Sample[] = Array.from({ length: 1_500 }, (_, n) => ({
    labels: { pipeline: 'p', status: `s${n}` },
    value: n,
  }))
  const sum = largest(samples, (one, two) => one + two)
  expect(sum).toHaveLength(1_001)
  expect(sum.slice(0, 1_000).every(({ value }) => value >= 500)).toBe(true)
  expect(sum.at(-1)).toEqual({ labels: { pipeline: 'other', status: 'other' }, value: (499 * 500) / 2 })
  expect(largest(samples, Math.max).at(-1)?.value).toBe(499)
  expect(largest(samples.slice(0, 1_000), Math.max)).toHaveLength(1_000)
})

test('a read that hangs keeps nobody waiting, is not asked twice, and its late answer serves the next', async () => {
  let asked = 0
  let answer: (value: string) => void = () => undefined
  const read = () => {
    asked += 1
    return new Promise<string>((resolve) => {
      answer = resolve
    })
  }
  const cached = new CachedRead(read, { freshMs: 5_000, answerMsMax: 1, nowMs: () => 0 })
  expect([await cached.get(), await cached.get()]).toEqual([null, null])
  answer('late')
  await new Promise((resolve) => setImmediate(resolve))
  expect([await cached.get(), asked]).toEqual(['late', 1])
})
