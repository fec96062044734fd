import type pg from 'pg'

/** The role the service's sessions run as: it may read the log and append to it, but not change it. */
export const SERVICE_ROLE = 'waybill_service'

export interface ServiceRole {
  /** Null when the role cannot be had: sessions then run as the connecting user. */
  readonly role: string | null
  /** What a person should know, when the role is null. */
  readonly warning: string | null
}

const INSUFFICIENT_PRIVILEGE = '42501'
/** Lost a race with another creator: duplicate_object, unique_violation, "tuple concurrently updated". */
const RACES = new Set(['42710', '23505', 'XX000'])
const ATTEMPTS_MAX = 20

/**
 * Makes sure that the role exists and that the connected user may `SET ROLE` to it. Roles belong to the whole server, so
 * migrators of other databases may do the same at the same moment.
 */
export async function ensureServiceRole(client: pg.Client): Promise<ServiceRole> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryEnsure(client)
    } catch (error) {
      const code = sqlState(error)
      if (code === undefined || !RACES.has(code) || attempt >= ATTEMPTS_MAX) throw error
    }
  }
}

async function tryEnsure(client: pg.Client): Promise<ServiceRole> {
  const { exists, usable, version, user } = await standing(client)
  if (usable) return { role: SERVICE_ROLE, warning: null }
  try {
    if (!exists) {
      await client.query(`CREATE ROLE ${SERVICE_ROLE} NOLOGIN`)
      // Asked again: a superuser needs no grant, others do.
      return await tryEnsure(client)
    }
    // Since PostgreSQL 16 the creator of a role may administer it, but take it on only when granted so.
    const how = version >= 160_000 ? ' WITH INHERIT FALSE, SET TRUE' : ''
    await client.query(`GRANT ${SERVICE_ROLE} TO ${user}${how}`)
  } catch (error) {
    if (sqlState(error) === INSUFFICIENT_PRIVILEGE) return unavailable(error, exists, user)
    throw error
  }
  return { role: SERVICE_ROLE, warning: null }
}

interface Standing {
  readonly exists: boolean
  /** The connected user may `SET ROLE` to it. */
  readonly usable: boolean
  readonly version: number
  /** The connected user, as SQL writes it. */
  readonly user: string
}

async function standing(client: pg.Client): Promise<Standing> {
  const { rows } = await client.query<Standing>(
    `SELECT r.oid IS NOT NULL AS exists,
            coalesce(pg_has_role(r.oid, CASE WHEN v.version >= 160000 THEN 'SET' ELSE 'MEMBER' END), false) AS usable,
            v.version, quote_ident(current_user) AS user
     FROM (SELECT current_setting('server_version_num')::int AS version) v
     LEFT JOIN pg_roles r ON r.rolname = $1`,
    [SERVICE_ROLE],
  )
  const [row] = rows
  if (row === undefined) throw new Error('The server did not say whether the service role exists')
  return row
}

/** Says what is amiss and what somebody with more rights can do about it, at any time: migrate() then grants the rest. */
function unavailable(error: unknown, exists: boolean, user: string): ServiceRole {
  const reason = error instanceof Error ? error.message : String(error)
  const [amiss, administrator] = exists
    ? [`may not take on the role ${SERVICE_ROLE}`, `a superuser, or who has the ADMIN option on ${SERVICE_ROLE},`]
    : [`may not make the role ${SERVICE_ROLE}`, 'a superuser, or a user with CREATEROLE,']
  const statements = `${exists ? '' : `CREATE ROLE ${SERVICE_ROLE}; `}GRANT ${SERVICE_ROLE} TO ${user};`
  return {
    role: null,
    warning:
      `The database user ${user} ${amiss} (${reason}), so the service runs as ${user}, who owns the log's tables. ` +
      `All of it works. To run with fewer rights, ${administrator} runs at any time: ${statements} ` +
      'Waybill takes the role on when it is started again (docs/operations.md).',
  }
}

/** PostgreSQL's code of an error; undefined when it is not the server that says it. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
