import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { clientConfig } from '../../src/postgres/connection.ts'
import { openSnapshots } from '../../src/snapshots/postgresSnapshots.ts'
import { createMigratedDatabase } from '../support/database.ts'

const logId = randomUUID()
let connectionString: string
let owner: pg.Client

beforeEach(async () => {
  const database = await createMigratedDatabase()
  onTestFinished(() => database.drop({ allowOpen: true }))
  connectionString = database.connectionString
  owner = new pg.Client(clientConfig({ connectionString }))
  await owner.connect()
  onTestFinished(() => owner.end())
})

function open(ofLog = logId) {
  const store = openSnapshots({ connectionString, logId: ofLog, role: 'waybill_service' })
  onTestFinished(() => store.close().catch(() => undefined))
  return store
}

describe('snapshots in PostgreSQL', () => {
  it('are given back byte for byte, and the last one counts', async () => {
    const store = open()
    expect(await store.read('op-1')).toBe(null)
    const text = JSON.stringify({ odd: '\u0000 \ud800 ü 𝄞', long: 'x'.repeat(300_000) })
    await store.write({ operation: 'op-1', revision: 500n, text })
    await store.write({ operation: 'op-2', revision: 9n, text: 'another' })
    expect(await open().read('op-1')).toBe(text)
    await store.write({ operation: 'op-1', revision: 400n, text: 'newer' })
    expect(await store.read('op-1')).toBe('newer')
  })

  it('of another log are none, and are replaced', async () => {
    const [before, after] = [open(), open(randomUUID())]
    await before.write({ operation: 'op-1', revision: 500n, text: 'of the log before' })
    expect(await after.read('op-1')).toBe(null)
    await after.write({ operation: 'op-1', revision: 3n, text: 'of this log' })
    expect(await after.read('op-1')).toBe('of this log')
    expect(await before.read('op-1')).toBe(null)
  })

  it('that were damaged are none', async () => {
    const store = open()
    await store.write({ operation: 'op-1', revision: 500n, text: '{"count":1}' })
    await owner.query(`UPDATE waybill_snapshots.snapshots SET content = '{"count":2}'`)
    expect(await store.read('op-1')).toBe(null)
  })

  it('can be deleted at any time', async () => {
    const store = open()
    await store.write({ operation: 'op-1', revision: 500n, text: 'x' })
    await owner.query('TRUNCATE waybill_snapshots.snapshots')
    expect(await store.read('op-1')).toBe(null)
    await store.write({ operation: 'op-1', revision: 600n, text: 'y' })
    expect(await store.read('op-1')).toBe('y')
  })

  it('are not waited for when their table is locked: a reader gets an error in time', async () => {
    const store = open()
    await owner.query('BEGIN')
    await owner.query('LOCK TABLE waybill_snapshots.snapshots')
    await expect(store.read('op-1')).rejects.toThrow()
    await owner.query('ROLLBACK')
    expect(await store.read('op-1')).toBe(null)
  })

  it('are written no more once the store is closed, without an error', async () => {
    const store = open()
    await store.close()
    await store.write({ operation: 'op-1', revision: 500n, text: 'x' })
    expect((await owner.query('SELECT FROM waybill_snapshots.snapshots')).rowCount).toBe(0)
  })
})
