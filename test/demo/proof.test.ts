// The demo against a real service, small; then the same proof against a log that was tampered with behind its back.
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createWaybillClient } from '../../src/client/client.ts'
import { readConfig } from '../../src/config.ts'
import { loadDocuments } from '../../src/demo/documents.ts'
import { type Follower, follow } from '../../src/demo/follower.ts'
import { definition } from '../../src/demo/pipeline.ts'
import { createFindings, type Findings } from '../../src/demo/proof/findings.ts'
import { prove } from '../../src/demo/proof/prove.ts'
import { createRandom } from '../../src/demo/random.ts'
import { startReaders } from '../../src/demo/readers.ts'
import { createSimulation, type Simulation } from '../../src/demo/simulation.ts'
import { createTally } from '../../src/demo/tally.ts'
import { type Service, startService } from '../../src/service.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }
const pipelineOf = { advance: 'webhooks-advance', hold: 'webhooks-hold' } as const
const pipelines = [pipelineOf.advance, pipelineOf.hold] as const
const idPrefix = 'demo-'

describe('the proof, over HTTP', () => {
  let database: TestDatabase
  let service: Service
  let simulation: Simulation
  let follower: Follower
  const findings = createFindings()

  const proveAgain = async (into: Findings): Promise<void> => {
    const records = simulation.records
    const checked = {
      waybill: { baseUrl: service.url },
      records,
      idPrefix,
      pipelines,
      follower,
      findings: into,
      onChecked: quiet,
    }
    await prove(checked)
  }
  const tamper = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: database.connectionString })
    await client.connect()
    try {
      await client.query(`ALTER TABLE waybill_log.events DISABLE TRIGGER USER; ${sql};
                          ALTER TABLE waybill_log.events ENABLE TRIGGER USER`)
    } finally {
      await client.end()
    }
  }
  const faultsAfter = async (sql: string): Promise<string[]> => {
    await tamper(sql)
    const found = createFindings()
    await proveAgain(found)
    return [...new Set(found.faults.map((fault) => fault.check))]
  }

  beforeAll(async () => {
    database = await createTestDatabase()
    const config = readConfig({ DATABASE_URL: database.connectionString, WAYBILL_PORT: '0' })
    service = await startService({ config, logger })
    const client = createWaybillClient({ baseUrl: service.url })
    for (const policy of ['advance', 'hold'] as const) {
      await client.definePipeline(pipelineOf[policy], definition(policy))
    }
    await client.close()
    const random = createRandom(11)
    const tally = createTally()
    const waybill = { baseUrl: service.url }
    const documents = await loadDocuments()
    const plan = { operations: 40, services: 10, window: 40, idPrefix, pipelineOf }
    simulation = createSimulation({ ...plan, waybill, documents, random, tally })
    follower = await follow(waybill, (operation) => operation.startsWith(idPrefix))
    const records = () => simulation.opened
    const readers = startReaders({ waybill, count: 2, pipelines, records, random, tally, findings })
    await simulation.run()
    await readers.stop()
  })

  afterAll(async () => {
    follower.close()
    simulation.close()
    await service.stop()
    await database.drop()
  })

  it('holds for what the service did, and has looked at everything', async () => {
    await proveAgain(findings)
    expect(findings.faults).toEqual([])
    for (const check of ['recorded', 'receipts', 'chain', 'order', 'end', 'list', 'tail', 'stats', 'reads'] as const) {
      expect(findings.looks.get(check), check).toBeGreaterThan(2)
    }
  })

  it('finds a byte changed in the database', async () => {
    const faults = await faultsAfter(
      `UPDATE waybill_log.events SET data = replace(data::text, '"cold"', '"warm"')::json
       WHERE type = 'StatusChanged' AND data->>'to' = 'archived'`,
    )
    expect(faults).toEqual(expect.arrayContaining(['chain', 'faithful', 'list']))
  })

  it('finds an event deleted from the database', async () => {
    const faults = await faultsAfter(`DELETE FROM waybill_log.events WHERE position = (
      SELECT max(position) FROM waybill_log.events WHERE type = 'StatusChanged' AND data->>'to' = 'indexed')`)
    expect(faults).toEqual(expect.arrayContaining(['recorded', 'revisions']))
  })
})
