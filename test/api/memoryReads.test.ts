import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { patienceMs } from '../support/patience.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const report = (id: string, status: string) =>
  api.send('POST', `/v1/operations/${id}/reports`, { service: 's', status, pipeline: 'any' })

async function projected(): Promise<string> {
  await api.projections.readModel.waitFor(await api.log.head(), patienceMs)
  return (await api.send('GET', '/v1/stats')).body.position
}

/** While nobody can read a row. */
async function withoutRows<T>(work: () => Promise<T>): Promise<T> {
  await api.sql('ALTER TABLE waybill_read.operations RENAME TO operations_away')
  try {
    return await work()
  } finally {
    await api.sql('ALTER TABLE waybill_read.operations_away RENAME TO operations')
  }
}

/** As another node would write it. */
async function reportElsewhere(operation: string, status: string): Promise<void> {
  const other = createCommandService({ log: api.log, clock: Date.now })
  const body = { type: 'ReportStatus', service: 'elsewhere', status } as const
  expect(await other.submit({ operation, key: status, requestHash: 'h', actor: 'anonymous', body })).toMatchObject({
    kind: 'accepted',
  })
  await other.drain()
}

describe('on the node that projects, an operation in memory', () => {
  it('is answered without its row, and as far as the read model goes', async () => {
    await report('near-1', 'a')
    await report('far-1', 'a')
    const position = await projected()
    const answer = await withoutRows(() => api.send('GET', '/v1/operations/near-1'))
    expect(answer.body).toMatchObject({ revision: 1, tracks: { main: { status: 'a' } } })
    expect(answer.headers['waybill-position']).toBe(position)
    expect(answer.body.position).not.toBe(position)
    const asked = await withoutRows(() => api.send('GET', `/v1/operations/near-1?minPosition=${position}`))
    expect(asked.body).toEqual(answer.body)
  })

  it('is answered from its row once another node wrote to it', async () => {
    await report('near-2', 'a')
    await projected()
    await reportElsewhere('near-2', 'b')
    await projected()
    const answer = await api.send('GET', '/v1/operations/near-2')
    expect(answer.body).toMatchObject({ revision: 2, tracks: { main: { status: 'b' } } })
  })

  it('is not said to be folded beyond what memory has of it', async () => {
    await report('near-3', 'a')
    await projected()
    await reportElsewhere('near-3', 'b')
    const position = await projected()
    const answer = await withoutRows(() => api.send('GET', '/v1/operations/near-3'))
    expect(answer.body).toMatchObject({ revision: 1 })
    expect(answer.headers['waybill-position']).not.toBe(position)
    expect(answer.headers['waybill-position']).toBe(answer.body.position)
  })

  it('says that it is parked', async () => {
    await api.sql("ALTER TABLE waybill_read.operations ADD CONSTRAINT refused CHECK (id <> 'near-4' OR revision < 2)")
    await report('near-4', 'a')
    await projected()
    await report('near-4', 'b')
    await eventually(
      () => api.send('GET', '/v1/stats'),
      (answer) => answer.body.parked === 1,
    )
    const answer = await api.send('GET', '/v1/operations/near-4')
    expect(answer.body).toMatchObject({ revision: 2, parked: { revision: 2 } })
  })
})

describe('on a node whose read model never answers', () => {
  it('an operation in memory is answered all the same, as far as memory goes', async () => {
    const silent = await startApi({ projecting: false })
    onTestFinished(() => silent.close())
    const body = { service: 's', status: 'a', pipeline: 'any' }
    const { position } = (await silent.send('POST', '/v1/operations/silent-1/reports', body)).body
    vi.spyOn(silent.projections.readModel, 'operation').mockReturnValue(new Promise(() => undefined))
    const answer = await silent.send('GET', '/v1/operations/silent-1')
    expect(answer.body).toMatchObject({ revision: 1, position })
    expect(answer.headers['waybill-position']).toBe(position)
  })
})
