import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type Service, startService } from '../../src/service.ts'
import { eventually } from '../projections/support/eventually.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'

let database: TestDatabase
let service: Service
const errors: object[] = []
const logger = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields: object) => void errors.push(fields),
}

beforeAll(async () => {
  database = await createMigratedDatabase()
  service = await startService({
    config: readConfig({
      DATABASE_URL: database.connectionString,
      WAYBILL_PORT: '0',
      WAYBILL_AUDIT_INTERVAL_MS: '5',
    }),
    logger,
  })
})
afterAll(async () => {
  await service.stop()
  await database.drop()
})

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  if (line === undefined) throw new Error(`${name} is not at /metrics`)
  return Number(line.slice(name.length))
}

async function auditCheck(): Promise<unknown> {
  const answer = await fetch(`${service.url}/readyz?verbose`)
  expect(answer.status).toBe(200)
  const { checks } = (await answer.json()) as { checks: readonly { name: string }[] }
  return checks.find(({ name }) => name === 'self-audit')
}

async function asOwner(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.connectionString })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function drifts(operation: string): Promise<unknown> {
  return eventually(`${operation} is found`, () =>
    errors.find((line) => 'operation' in line && line.operation === operation),
  )
}

it('audits itself from the start on, and shows drift in log, metrics and health without ceasing to be ready', async () => {
  for (let number = 1; number <= 5; number += 1) {
    for (const status of ['a', 'b', 'c']) {
      const answer = await fetch(`${service.url}/v1/operations/op-${number}/reports`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ service: 's', status, pipeline: 'any', data: { status } }),
      })
      expect(answer.status).toBeLessThan(300)
    }
  }
  const checked = async (): Promise<number> => await metric('waybill_audit_checked_total{of="operation"}')
  const soFar = await checked()
  await eventually('20 more samples', async () => ((await checked()) >= soFar + 20 ? true : undefined))
  expect(errors).toEqual([])
  expect(await metric('waybill_audit_drifts_total{of="operation"}')).toBe(0)
  expect(await metric('waybill_audit_drifts_total{of="count"}')).toBe(0)
  expect(await metric('waybill_audit_skipped_total{reason="unconfirmed"}')).toBe(0)
  expect(await metric('waybill_audit_last_check_age_seconds')).toBeLessThan(patienceMs / 1_000)
  expect(await metric('waybill_audit_drifting')).toBe(0)
  expect(await auditCheck()).toMatchObject({ ok: true, advisory: true, detail: expect.stringMatching(/^None of \d+/) })

  await asOwner("UPDATE waybill_read.operations SET data = '{}' WHERE id = 'op-3'")
  expect(await drifts('op-3')).toMatchObject({ differences: [{ field: 'data' }] })
  expect(await metric('waybill_audit_drifting')).toBe(1)
  expect(await metric('waybill_audit_drifts_total{of="operation"}')).toBe(1)
  expect(await auditCheck()).toMatchObject({
    ok: false,
    advisory: true,
    detail: expect.stringContaining('docs/self-audit.md'),
  })

  await asOwner(`ALTER TABLE waybill_log.events DISABLE TRIGGER USER;
                 UPDATE waybill_log.events SET data = replace(data::text, '"b"', '"x"')::json
                 WHERE revision = 2 AND stream_number = (SELECT number FROM waybill_log.streams WHERE name = 'operation-op-4');
                 ALTER TABLE waybill_log.events ENABLE TRIGGER USER`)
  expect(await drifts('op-4')).toMatchObject({ differences: [{ field: 'hash chain' }] })
})
