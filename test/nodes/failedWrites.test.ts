import pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { startedForTest } from './support/startedForTest.ts'
import { BrokenConnectionError } from './support/waybillHttp.ts'

describe('a node whose writes fail', () => {
  let service: BuiltService
  let database: TestDatabase

  beforeAll(async () => {
    service = await bundledService()
  })
  beforeEach(async () => {
    database = await createMigratedDatabase()
  })
  afterEach(() => database.drop({ allowOpen: true }))

  const start = (environment: Readonly<Record<string, string>>) =>
    startedForTest(service, { DATABASE_URL: database.connectionString, ...environment })
      .start()
      .ready()

  /** Reads go on, as they do when the disk is full. */
  async function takeWritesAway(): Promise<void> {
    const owner = new pg.Client({ connectionString: database.connectionString })
    await owner.connect()
    await owner.query('REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA waybill_log FROM waybill_service, PUBLIC')
    await owner.end()
  }

  it('finishes what it has and exits with code 1 after the time configured', async () => {
    const node = await start({ WAYBILL_FAILED_WRITES_S_MAX: '1' })
    expect(await report(node, 0)).toBe(201)
    await takeWritesAway()
    const began = performance.now()
    const answers = new Set<number | 'gone'>()
    for (let n = 1; node.isRunning && performance.now() - began < patienceMs; n += 1) answers.add(await report(node, n))
    expect(await node.ended).toEqual({ code: 1, signal: null })
    expect(performance.now() - began).toBeGreaterThan(1_000)
    expect([...answers].filter((answer) => answer !== 503 && answer !== 'gone')).toEqual([])
    expect(node.output).toMatch(/Waybill stopped: Nothing could be written .*WAYBILL_FAILED_WRITES_S_MAX/)
  })

  it('stays when nothing is configured, and reads go on', async () => {
    const node = await start({})
    expect(await report(node, 0)).toBe(201)
    await takeWritesAway()
    const began = performance.now()
    for (let n = 1; performance.now() - began < 1_500; n += 1) expect(await report(node, n)).toBe(503)
    expect((await node.http.get('/v1/operations/op-0')).status).toBe(200)
    expect(node.isRunning).toBe(true)
  })
})

async function report(node: NodeProcess, n: number): Promise<number | 'gone'> {
  const body = { service: 'a', status: 'b', pipeline: 'any' }
  try {
    return (await node.http.post(`/v1/operations/op-${n}/reports`, body)).status
  } catch (error) {
    if (error instanceof BrokenConnectionError) return 'gone'
    throw error
  }
}
