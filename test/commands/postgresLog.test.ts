import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { wholeLog } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, linear, open, report, until } from './node.ts'

let database: TestDatabase
let logs: readonly [EventLog, EventLog]

beforeAll(async () => {
  database = await createMigratedDatabase()
  const { connectionString } = database
  logs = [await openPostgresEventLog({ connectionString }), await openPostgresEventLog({ connectionString })]
})

afterAll(async () => {
  for (const log of logs ?? []) await log.close()
  await database?.drop()
})

test('two nodes over PostgreSQL race on few operations: every accepted command is in the log once, at its revision', async () => {
  const nodes = [createNode(logs[0]), createNode(logs[1])]
  const results = await Promise.all(
    Array.from({ length: 600 }, async (_, n) => {
      const node = nodes[n % 2]
      if (node === undefined) throw new Error('no node')
      const id = `race-${n % 5}`
      return {
        id,
        key: `key-${n}`,
        result: await node.commands.submit(report(id, `key-${n}`, `s${n}`, { pipeline: 'any' })),
      }
    }),
  )
  for (let operation = 0; operation < 5; operation += 1) {
    const stream = `operation-race-${operation}`
    const events = await logs[0].readStream(stream, { maxCount: 1_000 })
    expect(verifyStream(events).kind).toBe('intact')
    const expected = results
      .filter(({ id }) => `operation-${id}` === stream)
      .map(({ key, result }) => [accepted(result).revision, key])
      .toSorted(([left], [right]) => Number(left) - Number(right))
    const recorded = events
      .filter((event) => event.type === 'StatusChanged')
      .map((event) => [event.revision, JSON.parse(event.metadata).command])
    expect(recorded).toEqual(expected)
  }
})

test('old duplicates, refusals and definitions on PostgreSQL', async () => {
  const node = createNode(logs[0], { receiptsMax: 5 })
  await definePipeline(node, 'invoice', linear)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const first = await node.commands.submit(report('op-1', 'first', 'read'))
  for (let n = 0; n < 10; n += 1) {
    accepted(await node.commands.submit(report('op-1', `more-${n}`, 'read', { data: { n } })))
  }
  expect(await node.commands.submit(report('op-1', 'first', 'read'))).toEqual(first)
  expect(codeOf(await node.commands.submit(report('op-1', 'first', 'checked')))).toBe('key_reused')
  expect(codeOf(await node.commands.submit(report('op-1', 'jump', 'done')))).toBe('transition_not_allowed')
  const other = createNode(logs[1])
  expect(await other.commands.submit(report('op-1', 'first', 'read'))).toEqual(first)
})

test('the writer dies in the middle of a batch: every command is answered, and its retry agrees with the log', async () => {
  const node = createNode(logs[0])
  const keys = Array.from({ length: 300 }, (_, n) => `key-${n}`)
  const send = (key: string, n: number) =>
    node.commands.submit(report(`dying-${n % 10}`, key, `s${n}`, { pipeline: 'any' }))
  const admin = new pg.Client({ connectionString: database.connectionString })
  await admin.connect()
  const lock = new pg.Client({ connectionString: database.connectionString })
  lock.on('error', () => undefined)
  await lock.connect()
  try {
    // The batch waits for the head's row, so that it is under way when its session is ended.
    await lock.query('BEGIN')
    await lock.query('SELECT 1 FROM waybill_log.log_head FOR UPDATE')
    const sent = Promise.all(keys.map(send))
    const waiting = `FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await waitForRow(admin, `SELECT 1 ${waiting}`)
    await admin.query(`SELECT pg_terminate_backend(pid) ${waiting}`)
    await lock.query('ROLLBACK')
    const firsts = await sent
    const codes = new Set(firsts.map(codeOf))
    for (const code of codes) expect(['accepted', 'outcome_unknown', 'log_unavailable']).toContain(code)
    expect(codes.size).toBeGreaterThan(0)
    await until(() => node.commands.metrics.inFlight() === 0)
    const retries = await Promise.all(keys.map((key, n) => sendUntilTaken(() => send(key, n))))
    for (const [n, retry] of retries.entries()) {
      const before = firsts[n]
      expect(codeOf(retry)).toBe('accepted')
      if (before?.kind === 'accepted') expect(retry).toEqual(before)
    }
  } finally {
    await lock.end()
    await admin.end()
  }
  const events = (await wholeLog(logs[0])).filter((event) => event.stream.startsWith('operation-dying-'))
  expect(events.filter((event) => event.type === 'StatusChanged').length).toBe(keys.length)
})

async function sendUntilTaken(send: () => ReturnType<ReturnType<typeof createNode>['commands']['submit']>) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const result = await send()
    if (result.kind !== 'failed') return result
  }
  throw new Error('not taken in 50 attempts')
}

async function waitForRow(client: pg.Client, query: string): Promise<void> {
  for (let attempt = 0; attempt < 2_000; attempt += 1) {
    const { rowCount } = await client.query(query)
    if (rowCount !== null && rowCount > 0) return
  }
  throw new Error('no row came')
}
