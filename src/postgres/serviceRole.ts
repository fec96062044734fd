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
      if (code === INSUFFICIENT_PRIVILEGE) return unavailable(error)
      if (code === undefined || !RACES.has(code) || attempt >= ATTEMPTS_MAX) throw error
    }
  }
}

async function tryEnsure(client: pg.Client): Promise<ServiceRole> {
  const { rows } = await client.query<{ exists: boolean; usable: boolean; version: number; user: string }>(
    `SELECT r.oid IS NOT NULL AS exists,
            coalesce(pg_has_role(r.oid, CASE WHEN v.version >= 160000 THEN 'SET' ELSE 'MEMBER' END), false) AS usable,
            v.version, quote_ident(current_user) AS user
     FROM (SELECT current_setting('server_version_num')::int AS version) v
     LEFT JOIN pg_roles r ON r.rolname = $1`,
    [SERVICE_ROLE],
  )
  const [standing] = rows
  if (standing === undefined) throw new Error('The server did not say whether the service role exists')
  if (!standing.exists) {
    await client.query(`CREATE ROLE ${SERVICE_ROLE} NOLOGIN`)
    // Asked again: a superuser needs no grant, others do.
    return tryEnsure(client)
  }
  if (!standing.usable) {
    // Since PostgreSQL 16 the creator of a role may administer it, but take it on only when granted so.
    const how = standing.version >= 160_000 ? ' WITH INHERIT FALSE, SET TRUE' : ''
    await client.query(`GRANT ${SERVICE_ROLE} TO ${standing.user}${how}`)
  }
  return { role: SERVICE_ROLE, warning: null }
}

function unavailable(error: unknown): ServiceRole {
  const reason = error instanceof Error ? error.message : String(error)
  return {
    role: null,
    warning:
      `The role ${SERVICE_ROLE} is not available (${reason}), so the service runs as the database user itself. ` +
      `To take its right to change events away, an administrator runs, before the first start: CREATE ROLE ${SERVICE_ROLE}; ` +
      `GRANT ${SERVICE_ROLE} TO <the database user>;`,
  }
}

/** PostgreSQL's code of an error; undefined when it is not the server that says it. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
