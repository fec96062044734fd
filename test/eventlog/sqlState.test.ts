import pg from 'pg'
import { expect, test } from 'vitest'
import { blamesTheCall, isUnavailability, serverError } from '../../src/eventlog/postgres/sqlState.ts'

test.each([
  ['08006', 'unavailable', 'connection_failure'],
  ['40001', 'unavailable', 'serialization_failure'],
  ['53300', 'unavailable', 'too_many_connections'],
  ['57014', 'unavailable', 'query_canceled: statement_timeout'],
  ['58030', 'unavailable', 'io_error'],
  ['55P03', 'unavailable', 'lock_not_available: lock_timeout'],
  ['25006', 'unavailable', 'read_only_sql_transaction: a standby'],
  ['25P03', 'unavailable', 'idle_in_transaction_session_timeout'],
  ['22P02', 'the call', 'invalid_text_representation'],
  ['23505', 'the call', 'unique_violation'],
  ['54000', 'the call', 'program_limit_exceeded'],
  ['42601', 'a bug', 'syntax_error'],
  ['55000', 'a bug', 'object_not_in_prerequisite_state'],
  ['25000', 'a bug', 'invalid_transaction_state'],
  ['12225', 'a bug', 'none'],
])('SQLSTATE %s blames %s (%s)', (code, blamed) => {
  expect(isUnavailability(code)).toBe(blamed === 'unavailable')
  expect(blamesTheCall(code)).toBe(blamed === 'the call')
})

test('an error of the server tells its code and constraint, and whether the session goes on', () => {
  const error = Object.assign(new pg.DatabaseError('no', 2, 'error'), { code: '23505', severity: 'ERROR' })
  expect(serverError(error)).toEqual({ code: '23505', constraint: null, fatal: false })
  expect(serverError(Object.assign(error, { constraint: 'events_id_key' }))?.constraint).toBe('events_id_key')
  for (const severity of ['FATAL', 'PANIC', undefined]) {
    expect(serverError(Object.assign(error, { severity }))?.fatal).toBe(true)
  }
})

test('any other error is none of the server’s', () => {
  expect(serverError(new pg.DatabaseError('no', 2, 'error'))).toBeNull()
  expect(serverError(Object.assign(new Error('no'), { code: 'ECONNRESET' }))).toBeNull()
  expect(serverError('no')).toBeNull()
})
