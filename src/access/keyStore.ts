import type pg from 'pg'
import { sqlState } from '../postgres/serviceRole.ts'
import type { Caller, CreateKeyResult, KeyRecord, NewKey, RevokeKeyResult, Role } from './access.ts'
import { KeysUnavailableError, keysMax, NotRecordedError } from './access.ts'
import { makeApiKey } from './apiKey.ts'
import type { RingKey } from './keyRing.ts'

interface KeyRow {
  id: string
  name: string
  roles: StoredRole[]
  definer_stated: boolean
  services: string[] | null
  pipelines: string[] | null
  digest: Buffer
  created_at: Date
  created_by: string
}

/** As 0002_bindings.sql has them. */
type StoredRole = Role | 'bound_service'

const columns = 'id, name, roles, definer_stated, services, pipelines, digest, created_at, created_by'

/** The keys in the database. Each function throws KeysUnavailableError when it does not answer. */
export interface KeyStore {
  /** Raised by every change; 0: there has never been a key. */
  counter(): Promise<bigint>
  load(): Promise<readonly RingKey[]>
  /** `record` puts the change on record; when it throws, the change is not made. */
  create(key: NewKey, by: Caller, record?: (made: KeyRecord) => Promise<void>): Promise<CreateKeyResult>
  revoke(
    name: string,
    by: Caller,
    record?: (key: { readonly id: string; readonly name: string }) => Promise<void>,
  ): Promise<RevokeKeyResult>
}

export function createKeyStore(pool: pg.Pool): KeyStore {
  return {
    async counter() {
      const { rows } = await available(() =>
        pool.query<{ counter: bigint }>('SELECT counter FROM waybill_access.changes'),
      )
      return rows[0]?.counter ?? 0n
    },

    async load() {
      const { rows } = await available(() =>
        pool.query<KeyRow>(`SELECT ${columns} FROM waybill_access.keys WHERE revoked_at IS NULL ORDER BY name`),
      )
      return rows.map((row) => ({ record: recordOf(row), digest: row.digest }))
    },

    create: ({ name, roles, services, pipelines }, by, record) =>
      inTurn(pool, async (client, counter): Promise<CreateKeyResult> => {
        if (!(await mayStill(client, counter, by))) return { kind: 'refused', refusal: 'caller_unknown' }
        if (by.origin === 'nobody' && !roles.includes('operator')) {
          return { kind: 'refused', refusal: 'operator_needed' }
        }
        const { rows: counts } = await client.query<{ keys: number; taken: boolean }>(
          `SELECT count(*)::int AS keys, coalesce(bool_or(name = $1), false) AS taken
           FROM waybill_access.keys WHERE revoked_at IS NULL`,
          [name],
        )
        const { keys = 0, taken = false } = counts[0] ?? {}
        if (taken) return { kind: 'refused', refusal: 'name_taken' }
        if (keys >= keysMax) return { kind: 'refused', refusal: 'full' }
        const made = makeApiKey()
        const isBound = services !== undefined || pipelines !== undefined
        const { rows } = await client.query<KeyRow>(
          `INSERT INTO waybill_access.keys (${columns})
           VALUES ($1, $2, $3::text[], true, $4::text[], $5::text[], $6, now(), $7)
           RETURNING ${columns}`,
          [made.id, name, storedRoles(roles, isBound), services, pipelines, made.digest, by.name],
        )
        const [row] = rows
        if (row === undefined) throw new Error('An inserted key was not returned')
        await onRecord(record?.(recordOf(row)))
        return { kind: 'created', record: recordOf(row), key: made.key }
      }),

    revoke: (name, by, record) =>
      inTurn(pool, async (client, counter): Promise<RevokeKeyResult> => {
        if (!(await mayStill(client, counter, by))) return { kind: 'refused', refusal: 'caller_unknown' }
        const { rows } = await client.query<{ id: string; is_operator: boolean; operators: number }>(
          `SELECT id, 'operator' = ANY (roles) AS is_operator,
                  (SELECT count(*)::int FROM waybill_access.keys
                   WHERE revoked_at IS NULL AND 'operator' = ANY (roles)) AS operators
           FROM waybill_access.keys WHERE revoked_at IS NULL AND name = $1`,
          [name],
        )
        const [found] = rows
        if (found === undefined) return { kind: 'not_found' }
        if (found.is_operator && found.operators === 1 && by.origin !== 'configuration') {
          return { kind: 'refused', refusal: 'operator_needed' }
        }
        await client.query(
          `UPDATE waybill_access.keys SET revoked_at = now(), revoked_by = $2
           WHERE revoked_at IS NULL AND name = $1`,
          [name, by.name],
        )
        await onRecord(record?.({ id: found.id, name }))
        return { kind: 'revoked' }
      }),
  }
}

/** A node may not have heard yet that the caller's key is revoked, or that there is a key by now. */
async function mayStill(client: pg.PoolClient, counter: bigint, { origin, keyId }: Caller): Promise<boolean> {
  if (origin === 'configuration') return true
  if (origin === 'nobody') return counter === 0n
  const { rows } = await client.query('SELECT FROM waybill_access.keys WHERE id = $1 AND revoked_at IS NULL', [keyId])
  return rows.length === 1
}

/** Runs a change while no other is under way; only one that was made is counted. */
async function inTurn<T extends CreateKeyResult | RevokeKeyResult>(
  pool: pg.Pool,
  change: (client: pg.PoolClient, counter: bigint) => Promise<T>,
): Promise<T> {
  const client = await available(() => pool.connect())
  let broken = true
  try {
    const result = await available(async () => {
      await client.query('BEGIN')
      const { rows } = await client.query<{ counter: bigint }>('SELECT counter FROM waybill_access.changes FOR UPDATE')
      const counter = rows[0]?.counter ?? 0n
      const made = await change(client, counter)
      const isMade = made.kind === 'created' || made.kind === 'revoked'
      if (isMade) await client.query('UPDATE waybill_access.changes SET counter = counter + 1')
      await client.query(isMade ? 'COMMIT' : 'ROLLBACK')
      return made
    })
    broken = false
    return result
  } finally {
    // One that failed may be in the middle of a transaction: it is closed.
    client.release(broken)
  }
}

/** Before the change is committed: of a change that was made there is always a record. */
async function onRecord(recorded: Promise<void> | undefined): Promise<void> {
  await recorded?.catch((error: unknown) => {
    throw new NotRecordedError('The log did not take the record of a change of keys', { cause: error })
  })
}

/** Classes of SQLSTATE that no waiting cures: values, constraints, statements. */
const wrongByItself = /^(22|23|42)...$/

async function available<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof NotRecordedError || wrongByItself.test(sqlState(error) ?? '')) throw error
    throw new KeysUnavailableError('The database did not answer about keys', { cause: error })
  }
}

function storedRoles(roles: readonly Role[], isBound: boolean): StoredRole[] {
  return roles.map((role) => (role === 'service' && isBound ? 'bound_service' : role))
}

function rolesOf({ roles, definer_stated }: KeyRow): Role[] {
  return roles.flatMap((role): Role[] => {
    if (role === 'service' && !definer_stated) return ['service', 'definer']
    return [role === 'bound_service' ? 'service' : role]
  })
}

function recordOf(row: KeyRow): KeyRecord {
  const { id, name, services, pipelines, created_at, created_by } = row
  return {
    id,
    name,
    roles: rolesOf(row),
    ...(services === null ? {} : { services }),
    ...(pipelines === null ? {} : { pipelines }),
    createdAt: created_at.toISOString(),
    createdBy: created_by,
  }
}
