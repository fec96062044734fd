import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCommandService } from '../../../src/commands/createCommandService.ts'
import { ConfigError, readConfig } from '../../../src/config.ts'
import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { openEventStoreLog } from '../../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { type Service, startService } from '../../../src/service.ts'
import { linear } from '../../projections/support/pipelines.ts'
import { createMigratedDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../logDatabase.ts'
import { type StandIn, startStandIn } from './standIn.ts'
import { patient } from './support.ts'

const silent = () => undefined
const logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent, fatal: silent }

describe('the service with its log in EventStoreDB', () => {
  let standIn: StandIn
  let database: TestDatabase
  let service: Service

  const start = (eventStoreUrl = standIn.connectionString) =>
    startService({
      config: readConfig({
        DATABASE_URL: database.connectionString,
        EVENTSTORE_URL: eventStoreUrl,
        WAYBILL_PORT: '0',
        WAYBILL_AUDIT_INTERVAL_MS: '50',
      }),
      logger,
    })

  beforeAll(async () => {
    standIn = await startStandIn()
    database = await createMigratedDatabase()
    service = await start()
  })
  afterAll(async () => {
    await service.stop()
    await standIn.close()
    await database.drop()
  })

  async function send(method: string, path: string, body?: object, key?: string) {
    const answer = await fetch(`${service.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, body: text.startsWith('{') ? JSON.parse(text) : text }
  }
  const report = (id: string, status: string, key?: string) =>
    send('POST', `/v1/operations/${id}/reports`, { service: 's', status, pipeline: 'any', data: { [status]: 1 } }, key)
  const seen = (id: string, position: unknown) =>
    send('GET', `/v1/operations/${id}?minPosition=${encodeURIComponent(String(position))}`)

  it('says where everything is', () => {
    expect(service.storage).toMatch(/^EventStoreDB at 127\.0\.0\.1:\d+; read model: PostgreSQL at /)
  })

  it('takes reports, and shows them', async () => {
    expect((await report('a-1', 'new')).status).toBe(201)
    const { status, body } = await report('a-1', 'done')
    expect([status, body.revision]).toEqual([200, 2])
    expect(standIn.store.streams.get('operation-a-1')).toHaveLength(3)
    const read = await seen('a-1', body.position)
    expect([read.status, read.body.revision, read.body.data]).toEqual([200, 2, { new: 1, done: 1 }])
    const { body: events } = await send('GET', '/v1/operations/a-1/events')
    expect(events.events.map((event: { type: string }) => event.type)).toEqual([
      'OperationOpened',
      'StatusChanged',
      'StatusChanged',
    ])
    await until(async () => (await send('GET', '/readyz')).status === 200, 'it is ready')
  })

  it('has caught up where the position says so, and counts what it has not in events', async () => {
    const { body } = await report('a-2', 'new')
    const caughtUp = async () => (await send('GET', '/v1/stats')).body.position === body.position
    await until(caughtUp, 'the read model has it')
    expect((await send('GET', '/v1/stats')).body.head).toBe(body.position)
    const { body: metrics } = await send('GET', '/metrics')
    expect(metrics).toContain('waybill_projection_lag_events 0')
  })

  it('folds the read model anew, and audits itself', async () => {
    const before = await send('GET', '/v1/operations/a-1')
    expect((await send('POST', '/v1/projections/operations/rebuild', {}, 'rebuild-1')).status).toBeLessThan(300)
    await until(async () => {
      const { body } = await send('GET', '/v1/projections')
      return body.projections[0].rebuild?.endedAt !== null && body.projections[0].state === 'running'
    }, 'it is rebuilt')
    expect((await send('GET', '/v1/operations/a-1')).body).toEqual(before.body)
    await until(async () => {
      const { body } = await send('GET', '/readyz?verbose')
      const audit = body.checks.find((check: { name: string }) => check.name === 'self-audit')
      return audit.ok && /of [1-9]\d* operations/.test(audit.detail)
    }, 'operations were looked at')
  })

  it('answers 503 to what cannot be written, and shows what is there, while the server is gone', async () => {
    standIn.kill()
    const refused = await report('a-3', 'new', 'gone-1')
    expect([refused.status, ['log_unavailable', 'outcome_unknown'].includes(refused.body.code)]).toEqual([503, true])
    expect((await send('GET', '/v1/operations/a-1')).status).toBe(200)
    // What it was told last holds for a second.
    await until(async () => (await send('GET', '/readyz')).status === 503, 'it says that it is not ready')
    expect((await send('GET', '/livez')).status).toBe(200)
    await standIn.revive()
    await until(async () => (await report('a-3', 'new', 'gone-1')).status === 201, 'it takes reports again')
    await until(async () => (await send('GET', '/readyz')).status === 200, 'it is ready again')
    const { body } = await report('a-3', 'more')
    expect((await seen('a-3', body.position)).status).toBe(200)
  })

  it('says that an outcome is unknown, and gives the first receipt to the retry', async () => {
    standIn.orders.append = () => ({ write: 'now', say: 'nothing' })
    const unknown = await report('a-4', 'new', 'unknown-1')
    expect([unknown.status, unknown.body.code]).toEqual([503, 'outcome_unknown'])
    standIn.orders.append = null
    await until(async () => (await report('a-5', 'new')).status === 201, 'it takes reports again')
    const retried = await report('a-4', 'new', 'unknown-1')
    expect(retried.body).toMatchObject({ outcome: 'applied', revision: 1 })
    expect(standIn.store.streams.get('operation-a-4')).toHaveLength(2)
  })

  it('is there again after a restart', async () => {
    const before = (await send('GET', '/v1/operations/a-1')).body
    await service.stop()
    service = await start()
    expect((await send('GET', '/v1/operations/a-1')).body).toEqual(before)
    expect((await report('a-1', 'again')).body.revision).toBe(3)
  })

  it('does not start without its server, and says why', async () => {
    await expect(start('esdb://127.0.0.1:1?tls=false')).rejects.toThrow('cannot be read now')
  })
})

describe('a service that was without EventStoreDB before', () => {
  it('does not start on an empty log there', async () => {
    const standIn = await startStandIn()
    const database = await createMigratedDatabase()
    const environment = { DATABASE_URL: database.connectionString, WAYBILL_PORT: '0' }
    const before = await startService({ config: readConfig(environment), logger })
    const body = '{"service":"s","status":"new","pipeline":"any"}'
    const headers = { 'content-type': 'application/json' }
    await fetch(`${before.url}/v1/operations/a/reports`, { method: 'POST', headers, body })
    await before.stop()
    const config = readConfig({ ...environment, EVENTSTORE_URL: standIn.connectionString })
    await expect(startService({ config, logger })).rejects.toThrow(ConfigError)
    await standIn.close()
    await database.drop()
  })
})

describe('a command whose key another node uses meanwhile', () => {
  it('defines a pipeline once', async () => {
    const standIn = await startStandIn()
    const log = await openEventStoreLog({ connectionString: standIn.connectionString, ...patient })
    let interfere: (() => Promise<void>) | null = null
    // Just after this node has learned that the key is unused.
    const interfered = new Proxy(log, {
      get(target: EventLog, name: keyof EventLog) {
        const value = target[name]
        if (name !== 'readEvent') return typeof value === 'function' ? value.bind(target) : value
        return async (stream: string, id: string) => {
          const found = await target.readEvent(stream, id)
          const once = interfere
          interfere = null
          await once?.()
          return found
        }
      },
    })
    const command = { name: 'p', key: 'k', actor: 'a', definition: linear }
    const ours = createCommandService({ log: interfered, clock: Date.now })
    const theirs = createCommandService({ log, clock: Date.now })
    interfere = async () => {
      expect(await theirs.definePipeline(command)).toMatchObject({ kind: 'defined' })
    }
    expect(await ours.definePipeline(command)).toMatchObject({ kind: 'defined' })
    expect(standIn.store.streams.get('pipeline-p')).toHaveLength(1)
    await log.close()
    await standIn.close()
  })
})
