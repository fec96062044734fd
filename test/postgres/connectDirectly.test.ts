// Old servers and poolers are played: what they say was taken from PostgreSQL 13.23 and PgBouncer 1.24.1 and 1.26.1.
import { expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { startService } from '../../src/service.ts'
import { startupError } from '../../src/startupError.ts'
import { type StandInSettings, startStandInServer } from './standInServer.ts'

const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }

/** What a person is told when the service is started on such a server, and what was asked of the server before. */
async function start(settings: Partial<StandInSettings>): Promise<{ told: string | null; queries: readonly string[] }> {
  const row = { pid: '42', number: '180004', version: '18.4' }
  const server = await startStandInServer({ refusal: () => null, processId: 42, row, ...settings })
  onTestFinished(() => server.close())
  const config = readConfig({ DATABASE_URL: server.connectionString, WAYBILL_PORT: '0' })
  const error = await startService({ config, logger }).then(
    () => expect.unreachable('it started'),
    (reason: unknown) => reason,
  )
  return { told: startupError(error, config), queries: server.queries }
}

const refusalOf =
  (parameter: string, code: string, message: string): StandInSettings['refusal'] =>
  (parameters) =>
    parameters.get('options')?.includes(parameter) === true ? { code, message } : null

const versionQuery = /server_version/

it('refuses PostgreSQL 13, which ends the session before it says its version', async () => {
  const { told, queries } = await start({
    refusal: refusalOf(
      'client_connection_check_interval',
      '42704',
      'unrecognized configuration parameter "client_connection_check_interval"',
    ),
    row: { number: '130023', version: '13.23' },
  })
  expect(told).toBe('The database server is PostgreSQL 13.23; Waybill needs 14 or newer (docs/operations.md).')
  expect(queries).toEqual([expect.stringMatching(versionQuery)])
})

it('refuses an old server that lets the session in', async () => {
  const { told, queries } = await start({ row: { pid: '42', number: '130023', version: '13.23' } })
  expect(told).toBe('The database server is PostgreSQL 13.23; Waybill needs 14 or newer (docs/operations.md).')
  expect(queries).toEqual([expect.stringMatching(versionQuery)])
})

it('refuses a server that cannot tell when a client vanishes', async () => {
  const message = 'invalid value for parameter "client_connection_check_interval": 1000'
  const { told } = await start({ refusal: refusalOf('client_connection_check_interval', '22023', message) })
  expect(told).toContain('Use a server on Linux, macOS or BSD')
})

it('refuses a pooler that knows nothing of the settings of a session', async () => {
  const message = 'unsupported startup parameter in options: statement_timeout'
  const { told } = await start({ refusal: refusalOf('statement_timeout', '08P01', message) })
  expect(told).toMatch(/^Waybill needs a direct connection to PostgreSQL, and this one goes through a pooler/)
})

it('refuses a pooler that ignores them, before anything is made', async () => {
  const { told, queries } = await start({ processId: 43 })
  expect(told).toMatch(/^Waybill needs a direct connection to PostgreSQL, and this one goes through a pooler/)
  expect(queries).toEqual([expect.stringMatching(versionQuery)])
})

it('leaves a setting that a new server does not know to be told as it is', async () => {
  const message = 'unrecognized configuration parameter "of_the_connection_string"'
  const { told, queries } = await start({ refusal: refusalOf('statement_timeout', '42704', message) })
  expect(told).toBeNull()
  expect(queries).toEqual([expect.stringMatching(versionQuery)])
})
