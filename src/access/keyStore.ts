import type pg from 'pg'
import { sqlState } from '../postgres/serviceRole.ts'
import type { Caller, CreateKeyResult, KeyRecord, KeyRefusal, NewKey, RevokeKeyResult, Role } from './access.ts'
import { KeysUnavailableError, NotRecordedError } from './access.ts'
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
      inTransaction(pool, async (client): Promise<CreateKeyResult> => {
        const made = makeApiKey()
        const isBound = services !== undefined || pipelines !== undefined
        const { rows } = await client.query<{ refusal: KeyRefusal | null; created_at: Date; created_by: string }>(
          'SELECT refusal, created_at, created_by FROM waybill_access.create_key($1, $2, $3, $4, $5, $6, $7, $8)',
          [made.id, name, storedRoles(roles, isBound), services, pipelines, made.digest, by.origin, by.keyId],
        )
        const [row] = rows
        if (row === undefined) throw new Error('create_key() answered without a row')
        if (row.refusal !== null) return { kind: 'refused', refusal: row.refusal }
        const created: KeyRecord = {
          id: made.id,
          name,
          roles,
          ...(services === undefined ? {} : { services }),
          ...(pipelines === undefined ? {} : { pipelines }),
          createdAt: row.created_at.toISOString(),
          createdBy: row.created_by,
        }
        await onRecord(record?.(created))
        return { kind: 'created', record: created, key: made.key }
      }),

    revoke: (name, by, record) =>
      inTransaction(pool, async (client): Promise<RevokeKeyResult> => {
        const { rows } = await client.query<{ refusal: KeyRefusal | null; key_id: string | null }>(
          'SELECT refusal, key_id FROM waybill_access.revoke_key($1, $2, $3)',
          [name, by.origin, by.keyId],
        )
        const [row] = rows
        if (row === undefined) throw new Error('revoke_key() answered without a row')
        if (row.refusal !== null) return { kind: 'refused', refusal: row.refusal }
        if (row.key_id === null) return { kind: 'not_found' }
        await onRecord(record?.({ id: row.key_id, name }))
        return { kind: 'revoked' }
      }),
  }
}

/** Whether a change is made at all is the database's to say (migrations/0003_validated_changes.sql); only one that was is kept. */
async function inTransaction<T extends CreateKeyResult | RevokeKeyResult>(
  pool: pg.Pool,
  change: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await available(() => pool.connect())
  let broken = true
  try {
    const result = await available(async () => {
      await client.query('BEGIN')
      const made = await change(client)
      await client.query(made.kind === 'created' || made.kind === 'revoked' ? 'COMMIT' : 'ROLLBACK')
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
