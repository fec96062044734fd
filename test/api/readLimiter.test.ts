import { expect, test } from 'vitest'
import { ProblemError } from '../../src/api/problem.ts'
import { ReadLimiter } from '../../src/api/readLimiter.ts'
import { FairShare } from '../../src/runtime/fairShare.ts'
import { eventually, startApi } from './apiHarness.ts'

test('more lists and counts than may be in hand are 503 with Retry-After; other reads and reports go on', async () => {
  const api = await startApi({ limits: { readsMax: 2 } })
  try {
    expect((await api.send('POST', '/v1/operations', { id: 'a', pipeline: 'any' })).status).toBe(201)
    // The table is let go when this ends: until then lists wait.
    const locked = api.sql(
      'BEGIN; LOCK TABLE waybill_read.operations IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT',
    )
    const lists: ReturnType<typeof api.send>[] = []
    const refused = await eventually(
      async () => {
        const list = api.send('GET', '/v1/operations')
        lists.push(list)
        const soon = new Promise<null>((resolve) => setTimeout(resolve, 50, null))
        return Promise.race([list, soon])
      },
      (answer) => answer?.status === 503,
    )
    expect(refused?.body).toMatchObject({ code: 'overloaded' })
    expect(refused?.headers['retry-after']).toBe('1')
    expect((await api.send('GET', '/v1/operations/a')).status).toBe(200)
    expect((await api.send('POST', '/v1/operations', { id: 'b', pipeline: 'any' })).status).toBe(201)
    await locked
    const statuses = (await Promise.all(lists)).map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(lists.length - 1)
    expect((await api.send('GET', '/v1/operations')).status).toBe(200)
  } finally {
    await api.close()
  }
})

test('one that fails leaves its place', async () => {
  const api = await startApi()
  await api.projections.close()
  const reads = new ReadLimiter(new FairShare(1))
  for (let n = 0; n < 3; n += 1)
    await expect(reads.run('owner', () => api.projections.readModel.stats())).rejects.not.toBeInstanceOf(ProblemError)
})
