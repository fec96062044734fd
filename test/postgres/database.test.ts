import pg from 'pg'
import { expect, test } from 'vitest'
import { createPool } from '../../src/postgres/connection.ts'
import { createTestDatabase } from '../support/database.ts'

test('a test that leaves a connection open fails, told which', async () => {
  const database = await createTestDatabase()
  const pool = createPool({ connectionString: database.connectionString, max: 1, applicationName: 'forgetful' })
  await pool.query('SELECT 42')
  await expect(database.drop()).rejects.toThrow('Connections left open: forgetful (idle): SELECT 42')
  await pool.end()
  const client = new pg.Client({ connectionString: database.connectionString })
  await expect(client.connect()).rejects.toThrow('does not exist')
})

test('a test that closes what it opened does not', async () => {
  const database = await createTestDatabase()
  const pool = createPool({ connectionString: database.connectionString, max: 3 })
  await Promise.all([pool.query('SELECT 1'), pool.query('SELECT 2'), pool.query('SELECT 3')])
  await pool.end()
  await database.drop()
})
