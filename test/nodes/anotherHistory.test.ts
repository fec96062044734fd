import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { dumpRows } from '../../scripts/sqlDump.mjs'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import { copyDatabase, dropDatabase, replaceDatabase } from './support/databaseCopy.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { startedForTest } from './support/startedForTest.ts'
import { startTcpSwitch } from './support/tcpSwitch.ts'
import { until } from './support/until.ts'
import { type HttpAnswer, WaybillHttp } from './support/waybillHttp.ts'

// After a fail-over to a standby that lagged, a restore or a copy, positions mean other events (correctness.md row 7).
describe('nodes whose database goes over to another history', () => {
  let service: BuiltService
  let database: TestDatabase
  let copy: string

  beforeAll(async () => {
    service = await bundledService()
  })
  beforeEach(async () => {
    database = await createMigratedDatabase()
    copy = `${database.name}_copy`
  })

  /** Two nodes: what one of them reads, it has never had in its own memory. */
  async function startNodes(connectionString: string) {
    const starter = startedForTest(service, { DATABASE_URL: connectionString })
    onTestFinished(async () => {
      await starter.end()
      await dropDatabase(`${database.name}_before`)
      await dropDatabase(copy)
      await database.drop({ allowOpen: true })
    })
    const [writer, reader] = await Promise.all([starter.start().ready(), starter.start().ready()])
    return { starter, writer, reader }
  }

  it('refuse to serve when it ends before what they acknowledged, and never show what it had then', async () => {
    const { writer, reader } = await startNodes(database.connectionString)
    await report(writer, 'kept')
    await copyDatabase(database.name, copy)
    await Promise.all([writer.ready(), reader.ready()])
    await seen(reader, await report(writer, 'lost'))

    const shown = watch(reader)
    await replaceDatabase(database.name, copy)
    await refusesEverything(writer, /events are lost/)
    await refusesEverything(reader, /events are lost/)
    expect(await shown.end()).toEqual([])
  })

  it('refuse to serve under another log id; a node that starts then serves that log, and knows the tokens of the other', async () => {
    const { starter, writer, reader } = await startNodes(database.connectionString)
    const token = await report(writer, 'kept')
    await seen(reader, token)
    await copyDatabase(database.name, copy)
    await withClient(database.connectionString.replace(database.name, copy), (client) =>
      client.query('UPDATE waybill_log.log_head SET log_id = gen_random_uuid()'),
    )
    await replaceDatabase(database.name, copy)
    await refusesEverything(writer, /holds the log/)
    await refusesEverything(reader, /holds the log/)

    const fresh = await starter.start().ready()
    const { status, body } = await fresh.http.get('/v1/operations/op-1?consistency=strong')
    expect({ status, revision: body.revision }).toEqual({ status: 200, revision: 1 })
    const old = await fresh.http.get(`/v1/operations/op-1?minPosition=${token}`)
    expect([old.status, old.body.code]).toEqual([410, 'another_log'])
    // Its read model is folded anew, though rows are there.
    await until('the list shows it', patienceMs, async () => {
      const list = await fresh.http.get('/v1/operations')
      return Array.isArray(list.body.operations) && list.body.operations.length === 1
    })
  })

  it('refuse to serve when it is another cluster, although log and position are the same', async () => {
    const way = await startTcpSwitch(database.connectionString)
    onTestFinished(() => way.close())
    const { writer, reader } = await startNodes(way.connectionString)
    await seen(reader, await report(writer, 'kept'))
    const other = await startEmbeddedPostgres({ dataDir: join(inject('dataDirectory'), 'other-cluster') })
    onTestFinished(() => other.stop())
    await restoreTo(other.connectionString)

    way.turnTo(other.connectionString)
    await refusesEverything(writer, /another cluster/)
    await refusesEverything(reader, /another cluster/)
  })

  /** As a dump and its restoration do, with the same name, user and password. */
  async function restoreTo(cluster: string): Promise<void> {
    const { name, connectionString } = database
    const { password, username } = new URL(connectionString)
    await withClient(cluster, async (client) => {
      await client.query(`CREATE DATABASE ${name}`)
      await client.query(`ALTER ROLE ${username} PASSWORD '${decodeURIComponent(password)}'`)
    })
    const restored = new URL(connectionString)
    restored.port = new URL(cluster).port
    // Its migrations make the schema.
    const maker = startedForTest(service, { DATABASE_URL: restored.toString() }).start()
    await (await maker.listening()).stop()
    const rows = await withClient(connectionString, (client) => dumpRows(client))
    await withClient(restored.toString(), (client) => client.query(rows))
  }
})

/** Its receipt's position. */
async function report({ http }: NodeProcess, status: string): Promise<string> {
  const body = { service: 'a', status, pipeline: 'any' }
  return until(`the report ${status} is taken`, patienceMs, async () => {
    const answer = await http.post('/v1/operations/op-1/reports', body, { 'idempotency-key': status })
    return answer.status < 300 ? String(answer.body.position) : null
  })
}

async function seen({ http }: NodeProcess, token: string): Promise<void> {
  const answer = await http.get(`/v1/operations/op-1?minPosition=${token}`)
  expect(answer.status, answer.text).toBe(200)
}

/** Reads again and again; ends with the answers that showed anything else than `lost`. */
function watch(node: NodeProcess) {
  const http = new WaybillHttp(node.url)
  const wrong: HttpAnswer[] = []
  let ended = false
  const look = async () => {
    while (!ended) {
      const { body, ...answer } = await http.get('/v1/operations/op-1')
      const tracks = body.tracks as Record<string, { status: string }> | undefined
      if (answer.status === 200 && tracks?.main?.status !== 'lost') wrong.push({ body, ...answer })
      if (answer.status === 404) wrong.push({ body, ...answer })
      await delay(1)
    }
  }
  const done = look()
  // Whoever ends it is told.
  done.catch(() => undefined)
  return {
    async end() {
      ended = true
      await done
      http.close()
      return wrong
    },
  }
}

async function refusesEverything(node: NodeProcess, reason: RegExp): Promise<void> {
  const line = await node.says(reason)
  expect(JSON.parse(line)).toMatchObject({ level: expect.toSatisfy((level: number) => level >= 50) })
  const { http } = node
  const readiness = await http.get('/readyz?verbose')
  expect([readiness.status, readiness.body.code], readiness.text).toEqual([503, 'not_ready'])
  expect((await http.get('/livez')).status).toBe(200)
  const body = { service: 'a', status: 'more', pipeline: 'any' }
  const definition = { statuses: ['a', 'b'], outOfOrder: 'advance' }
  for (const answer of [
    await http.post('/v1/operations/op-1/reports', body),
    await http.post('/v1/operations/op-new/reports', body),
    await http.post('/v1/operations', { id: 'op-2', pipeline: 'any' }),
    await http.put('/v1/pipelines/a', definition),
    await http.get('/v1/operations/op-1'),
    await http.get('/v1/operations/op-1?consistency=strong'),
    await http.get('/v1/operations/op-1/events'),
    await http.get('/v1/operations'),
    await http.get('/v1/events'),
    await http.get('/v1/stats'),
    await http.get('/v1/pipelines'),
  ]) {
    expect([answer.status, answer.body.code], answer.text).toEqual([503, 'log_unavailable'])
  }
  // It does not go away, to come back by itself on the other history: that is an operator's decision.
  expect(node.isRunning).toBe(true)
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
