import { randomBytes } from 'node:crypto'
import type pg from 'pg'

/** The login that a service uses on its embedded server: it owns nothing. */
export const SERVING_LOGIN = 'waybill_server'

/**
 * Gives the login a new password, which nobody keeps, and takes from it, and from everybody, what a service does not need:
 * other databases, and tables of its own.
 *
 * @param superuser connected to the database `postgres`
 * @returns the password
 */
export async function renewServingLogin(superuser: pg.Client, database: string): Promise<string> {
  const password = randomBytes(24).toString('base64url')
  // Whatever an operator has the server log, it is not a password.
  await superuser.query(
    `SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic'`,
  )
  const { rowCount } = await superuser.query('SELECT FROM pg_roles WHERE rolname = $1', [SERVING_LOGIN])
  await superuser.query(
    `${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${SERVING_LOGIN} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION
       NOBYPASSRLS PASSWORD '${password}' VALID UNTIL 'infinity'`,
  )
  await superuser.query(`REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC`)
  await superuser.query('REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC')
  return password
}
