import { afterAll, beforeAll, expect, it } from 'vitest'
import { LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { until } from '../eventlog/logDatabase.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'
import { failingLog } from './failingLog.ts'

let api: ApiHarness
let isAbsent = false
beforeAll(async () => {
  api = await startApi({
    wrapLog: (log) => ({
      ...failingLog(log, () => null),
      logId: log.logId,
      head: () => (isAbsent ? Promise.reject(new LogUnavailableError('gone')) : log.head()),
    }),
  })
})
afterAll(() => api.close())

it('counts and projections are answered while the log is away, with the head it last had, and say since when', async () => {
  const { body } = await api.send('POST', '/v1/operations/a/reports', { service: 's', status: 'new', pipeline: 'any' })
  await until(async () => (await api.send('GET', '/v1/stats')).body.position === body.position, 'it is projected')
  const before = await api.send('GET', '/v1/stats')
  await api.send('GET', '/v1/projections')
  expect(before.body).not.toHaveProperty('headReadAt')
  isAbsent = true
  const stats = await api.send('GET', '/v1/stats')
  expect([stats.status, stats.body.pipelines, stats.body.head]).toEqual([200, before.body.pipelines, before.body.head])
  expect(Date.parse(stats.body.headReadAt)).toBeLessThanOrEqual(Date.now())
  for (const path of ['/v1/projections', '/v1/projections/operations']) {
    const { status, body: shown } = await api.send('GET', path)
    expect([status, (shown.projections?.[0] ?? shown).head]).toEqual([200, before.body.head])
  }
  expect(await api.send('GET', '/v1/operations/unknown')).toMatchObject({
    status: 503,
    body: { code: 'log_unavailable' },
  })
  isAbsent = false
  expect((await api.send('GET', '/v1/stats')).body).not.toHaveProperty('headReadAt')
})
