import type pg from 'pg'
import { BoundedClient } from './boundedClient.ts'
import { connectDirectly } from './connectDirectly.ts'
import { clientConfig } from './connection.ts'
import { SERVICE_ROLE, sqlState } from './serviceRole.ts'

/** The login of the connection string cannot serve; the message says why, for a person. */
export class ServingLoginError extends Error {
  override readonly name = 'ServingLoginError'
}

export interface ServingLogin {
  /** As SQL writes it. */
  readonly login: string
  /** What it may do beyond serving, or may become able to do: "is a superuser". Empty: nothing. */
  readonly powers: readonly string[]
}

interface Place {
  readonly login: string
  /** Of cluster and database: the same for two connections to one database, by whatever names they reach it. */
  readonly place: string
}

const INSUFFICIENT_PRIVILEGE = '42501'

/**
 * Sees to it that the login that serves may take on the service's role, and says what else it may do. The role is there.
 *
 * @param ownerUrl of the schemas' owner, on the same database; it may be the same.
 * @throws {ServingLoginError}
 */
export async function checkServingLogin(connectionString: string, ownerUrl: string): Promise<ServingLogin> {
  const serving = await askWith(connectionString, placeOf)
  return askWith(ownerUrl, async (owner) => {
    const { place } = await placeOf(owner)
    if (place !== serving.place) {
      throw new ServingLoginError(
        'WAYBILL_MIGRATION_DATABASE_URL and DATABASE_URL lead to different databases: they must differ in user and password alone.',
      )
    }
    await ensureMembership(owner, serving.login)
    return { login: serving.login, powers: await powersOf(owner, serving.login) }
  })
}

async function askWith<T>(connectionString: string, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new BoundedClient(clientConfig({ connectionString, applicationName: 'waybill start' }))
  client.on('error', () => undefined)
  await connectDirectly(client, connectionString)
  try {
    return await ask(client)
  } finally {
    await client.end()
  }
}

async function placeOf(client: pg.Client): Promise<Place> {
  const { rows } = await client.query<Place>(
    `SELECT quote_ident(session_user) AS login, s.system_identifier || ' ' || d.oid AS place
     FROM pg_control_system() s CROSS JOIN pg_database d WHERE d.datname = current_database()`,
  )
  const [row] = rows
  if (row === undefined) throw new Error('The server did not say who is connected')
  return row
}

async function ensureMembership(owner: pg.Client, login: string): Promise<void> {
  const { rows } = await owner.query<{ usable: boolean }>(
    `SELECT pg_has_role($1::regrole, $2, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS usable`,
    [login, SERVICE_ROLE],
  )
  if (rows[0]?.usable === true) return
  const statement = `GRANT ${SERVICE_ROLE} TO ${login}`
  try {
    await owner.query(statement)
  } catch (error) {
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error
    throw new ServingLoginError(
      `The database user ${login} of DATABASE_URL may not take on the role ${SERVICE_ROLE}, and the user of ` +
        `WAYBILL_MIGRATION_DATABASE_URL may not grant it. A superuser runs: ${statement}; (docs/operations.md).`,
      { cause: error },
    )
  }
}

/** Of PostgreSQL's own roles, those with which a session reaches past what was granted to it. */
const mightyRoles = [
  'pg_execute_server_program',
  'pg_read_server_files',
  'pg_write_server_files',
  'pg_read_all_data',
  'pg_write_all_data',
  'pg_maintain',
  'pg_signal_backend',
]

async function powersOf(owner: pg.Client, login: string): Promise<string[]> {
  const { rows } = await owner.query<{ powers: string[] }>(
    `SELECT array_remove(ARRAY[
       CASE WHEN l.rolsuper THEN 'is a superuser' END,
       CASE WHEN NOT l.rolsuper AND l.rolcreaterole THEN 'may make roles' END,
       CASE WHEN NOT l.rolsuper AND l.rolcreatedb THEN 'may make databases' END,
       CASE WHEN NOT l.rolsuper AND l.rolreplication THEN 'may replicate' END,
       CASE WHEN NOT l.rolsuper AND l.rolbypassrls THEN 'bypasses row-level security' END,
       CASE WHEN NOT l.rolsuper AND EXISTS (
         SELECT FROM pg_namespace n
         WHERE n.nspname ~ '^waybill(_|$)' AND pg_has_role(l.oid, n.nspowner, 'MEMBER')
       ) THEN 'owns the log, or may become its owner' END
     ], NULL) || ARRAY(
       SELECT 'has the role ' || r.rolname FROM pg_roles r
       WHERE NOT l.rolsuper AND r.rolname = ANY ($2) AND pg_has_role(l.oid, r.oid, 'MEMBER') ORDER BY 1
     ) AS powers
     FROM pg_roles l WHERE l.oid = $1::regrole`,
    [login, mightyRoles],
  )
  return rows[0]?.powers ?? []
}
