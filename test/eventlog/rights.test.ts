import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { clientConfig } from '../../src/postgres/connection.ts'
import { createLogDatabase, type LogDatabase, newStream } from './logDatabase.ts'

const changes = [
  "UPDATE waybill_log.events SET type = 'Forged'",
  'UPDATE waybill_log.events SET position = position + 1 WHERE false',
  'DELETE FROM waybill_log.events',
  'DELETE FROM waybill_log.events WHERE false',
  'TRUNCATE waybill_log.events',
  "UPDATE waybill_log.streams SET name = name || '!'",
  'DELETE FROM waybill_log.streams',
  'TRUNCATE waybill_log.streams',
  'DELETE FROM waybill_log.log_head',
  'TRUNCATE waybill_log.log_head',
]

describe('an event, once appended', () => {
  let database: LogDatabase
  let service: pg.Client
  let stored: unknown[]

  const everything = async () => {
    const { rows } = await database.owner.query(
      'SELECT e.*, s.name FROM waybill_log.events e JOIN waybill_log.streams s ON number = stream_number ORDER BY position',
    )
    return rows
  }

  beforeAll(async () => {
    database = await createLogDatabase()
    const log = await openPostgresEventLog({ connectionString: database.connectionString })
    await log.append([newStream(), newStream()])
    await log.close()
    service = new pg.Client(clientConfig({ connectionString: database.connectionString, role: 'waybill_service' }))
    await service.connect()
    stored = await everything()
    expect(stored).toHaveLength(2)
  })
  afterAll(async () => {
    await service.end()
    await database.drop()
  })

  it.each(changes)('is not changed by the service: %s', async (change) => {
    await expect(service.query(change)).rejects.toMatchObject({ code: '42501' })
    expect(await everything()).toEqual(stored)
  })

  it.each(changes)('is not changed by the owner either: %s', async (change) => {
    await expect(database.owner.query(change)).rejects.toMatchObject({ code: '23001' })
    expect(await everything()).toEqual(stored)
  })

  it('is not changed where triggers are off', async () => {
    await database.owner.query('SET session_replication_role = replica')
    await expect(database.owner.query('DELETE FROM waybill_log.events')).rejects.toMatchObject({ code: '23001' })
    await database.owner.query('RESET session_replication_role')
    expect(await everything()).toEqual(stored)
  })

  it.each([
    "INSERT INTO waybill_log.events VALUES (99, 0, 1, gen_random_uuid(), 'Forged', '{}', '{}')",
    "INSERT INTO waybill_log.streams VALUES (99, 'forged')",
    'UPDATE waybill_log.log_head SET position = 0',
    'ALTER TABLE waybill_log.events DISABLE TRIGGER ALL',
    'DROP TRIGGER events_refuse_change ON waybill_log.events',
    'CREATE TABLE waybill_log.mine (a integer)',
  ])('has no company the service made past append_chains(): %s', async (statement) => {
    await expect(service.query(statement)).rejects.toMatchObject({ code: expect.stringMatching(/^42/) })
    expect(await everything()).toEqual(stored)
  })

  it('cannot be appended by just anyone', async () => {
    const { rows } = await database.owner.query(`
      SELECT has_function_privilege('public', p.oid, 'EXECUTE') AS anyone, has_function_privilege('waybill_service', p.oid, 'EXECUTE') AS service
      FROM pg_proc p WHERE p.pronamespace = 'waybill_log'::regnamespace AND p.proname LIKE 'append%'`)
    expect(rows).toEqual([
      { anyone: false, service: true },
      { anyone: false, service: true },
    ])
  })
})
