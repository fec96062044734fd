// What operators ask of the projection at a node that does not project.
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import { type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { projectingNode } from './support/projectingNode.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'

const base = '/v1/projections/operations'

let service: BuiltService
let waybill: WaybillCommand
let database: TestDatabase

beforeAll(async () => {
  service = await bundledService()
  waybill = waybillCommand(service.program)
})
afterAll(() => waybill.end())
beforeEach(async () => {
  database = await createMigratedDatabase()
  onTestFinished(() => database.drop({ allowOpen: true }))
})

async function startTwo(): Promise<{ readonly owner: NodeProcess; readonly other: NodeProcess }> {
  const starter = startedForTest(service, { DATABASE_URL: database.connectionString })
  const nodes = [starter.start(), starter.start()]
  await Promise.all(nodes.map((node) => node.ready()))
  const owner = await projectingNode(nodes)
  const other = nodes.find((node) => node !== owner)
  if (other === undefined) throw new Error('there is one node only')
  return { owner, other }
}

async function report(node: NodeProcess, id: string, status: string): Promise<string> {
  const answer = await node.http.post(`/v1/operations/${id}/reports`, { service: 's', status, pipeline: 'any' })
  expect([200, 201], answer.text).toContain(answer.status)
  return String(answer.body.position)
}

async function poison(id: string): Promise<bigint> {
  const log = await openPostgresEventLog({ connectionString: database.connectionString })
  try {
    const [outcome] = await log.append([await nextInChain(log, `operation-${id}`)])
    if (outcome?.kind !== 'appended') throw new Error(`not appended: ${outcome?.kind}`)
    return outcome.revision
  } finally {
    await log.close()
  }
}

test('a rebuild asked for at one node is done by the other, with progress until its end', async () => {
  const { owner, other } = await startTwo()
  await report(other, 'op-1', 'seen')
  const ran = await waybill.run(['projections', 'rebuild', '--url', other.url, '--json'])
  expect([ran.code, ran.err.includes('Rebuilt operations')], ran.err).toEqual([0, true])
  const state = (await owner.http.get(base)).body
  expect(JSON.parse(ran.out)).toMatchObject({ outcome: 'done', attempts: 1, done: 3, total: 3 })
  expect(JSON.parse(ran.out).node).toBe((state.owner as { node: string }).node)
  await owner.says(/"the read model is rebuilt"/)
})

test('a pause is kept when the node that projects is killed, and when its heir is asked to resume, it does', async () => {
  const { owner, other } = await startTwo()
  const before = await report(other, 'op-1', 'seen')
  await other.http.get(`/v1/stats?minPosition=${before}`)
  const paused = await waybill.run(['projections', 'pause', '--url', other.url, '--json'])
  expect(paused.code, paused.err).toBe(0)
  const { position } = JSON.parse(paused.out)
  const written = await report(owner, 'op-2', 'seen')
  await owner.kill()
  await until('the other has taken over', patienceMs, async () => (await other.http.get(base)).body.phase === 'paused')
  const state = (await other.http.get(base)).body
  // The record of the pause itself comes before or after the place where it took hold.
  const lagEvents = position === before ? 3 : 2
  expect(state).toMatchObject({ state: 'paused', position, head: written, lagEvents })
  expect((await other.http.get('/readyz')).status).toBe(200)
  expect((await other.http.get('/v1/operations')).body.operations).toHaveLength(1)
  expect((await waybill.run(['projections', 'resume', '--url', other.url])).code).toBe(0)
  const caughtUp = await other.http.get(`/v1/operations?minPosition=${written}`)
  expect(caughtUp.body.operations, caughtUp.text).toHaveLength(2)
})

test('a stream parked at one node is retried and skipped at the other, and every node shows it so, after a rebuild too', async () => {
  const { owner, other } = await startTwo()
  await report(other, 'op-1', 'seen')
  const revision = await poison('op-1')
  const at = (node: NodeProcess) => ['--url', node.url, '--json']
  await until('it is parked', patienceMs, async () => (await other.http.get(base)).body.parked === 1)
  const listed = JSON.parse((await waybill.run(['projections', 'parked', ...at(other)])).out)
  expect(listed.parked).toMatchObject([{ stream: 'operation-op-1', revision: Number(revision) }])
  const retried = await waybill.run(['projections', 'retry', 'operation-op-1', ...at(other)])
  expect([retried.code, JSON.parse(retried.out).outcome], retried.err).toEqual([1, 'parked'])
  const skip = ['projections', 'skip', 'operation-op-1', '--revision', String(revision), '--reason', 'by hand', '--yes']
  const skipped = await waybill.run([...skip, ...at(other)])
  expect([skipped.code, JSON.parse(skipped.out).outcome], skipped.err).toEqual([0, 'unparked'])
  for (const node of [owner, other]) {
    const { body } = await node.http.get('/v1/operations/op-1')
    expect([body.parked, body.revision]).toEqual([undefined, Number(revision)])
  }
  expect((await waybill.run(['projections', 'rebuild', '--url', other.url, '--quiet'])).code).toBe(0)
  const { body } = await other.http.get('/v1/operations/op-1')
  expect([body.parked, body.revision]).toEqual([undefined, Number(revision)])
  expect((await waybill.run([...skip, ...at(other)])).err).toContain('not_parked')
})
