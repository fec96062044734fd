import { setTimeout as delay } from 'node:timers/promises'
import { boundedBy, createPool, type PoolSettings } from '../postgres/connection.ts'
import { type MigrateResult, migrate } from '../postgres/migrate.ts'
import { type Access, anonymousName, type Caller, configuredOperatorName } from './access.ts'
import { digestOf } from './apiKey.ts'
import { createKeyRing } from './keyRing.ts'
import { createKeyStore } from './keyStore.ts'

/** The part of a pino logger that this room uses. */
export interface AccessLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** A change is in force on every node after a pause and a look, each of them as long as this at most. */
export const refreshMsDefault = 1_000

export interface AccessSettings {
  readonly connectionString: string
  readonly role?: string | null
  readonly admit?: PoolSettings['admit']
  /** A key with the role operator that needs no database; null or undefined: none. */
  readonly operatorKey?: string | null
  /** Whether requests without a key are let in, with every role, while there has never been one. */
  readonly anonymousAllowed: boolean
  /** Pause between two looks at whether keys have changed. Default: `refreshMsDefault`. */
  readonly refreshMs?: number
  readonly logger?: AccessLogger
}

/** Brings the schema of the keys up to date; run before `openAccess`, as the owner of the database. */
export function migrateAccess(connectionString: string): Promise<MigrateResult> {
  return migrate({
    connectionString,
    room: 'access',
    directory: new URL('./migrations/', import.meta.url),
    grants: new URL('./grants.sql', import.meta.url),
  })
}

const anonymous: Caller = { name: anonymousName, keyId: null, roles: ['operator'], origin: 'nobody' }
const configuredOperator: Caller = {
  name: configuredOperatorName,
  keyId: null,
  roles: ['operator'],
  origin: 'configuration',
}

/** Loads the keys, and looks from then on whether they have changed. */
export async function openAccess(settings: AccessSettings): Promise<Access> {
  const {
    connectionString,
    role,
    admit,
    logger,
    operatorKey,
    anonymousAllowed,
    refreshMs = refreshMsDefault,
  } = settings
  const hasOperatorKey = operatorKey !== undefined && operatorKey !== null
  const ring = createKeyRing(hasOperatorKey ? { caller: configuredOperator, digest: digestOf(operatorKey) } : null)
  const pool = createPool({
    connectionString,
    applicationName: 'waybill access',
    max: 2,
    // Revoking is to be heard of in time, or not at all: a look that hangs stands in the way of the next one.
    ...boundedBy(refreshMsDefault),
    role,
    admit,
  })
  const store = createKeyStore(pool)
  let counter = -1n

  async function refresh(): Promise<void> {
    const newest = await store.counter()
    if (newest === counter) return
    ring.replace(await store.load())
    // Read before the keys: they may be newer than it says, and are then read again, but never older.
    counter = newest
  }

  const closing = new AbortController()
  async function keepFresh(): Promise<void> {
    let answered = true
    while (!closing.signal.aborted) {
      await delay(refreshMs, undefined, { signal: closing.signal }).catch(() => undefined)
      if (closing.signal.aborted) return
      try {
        await refresh()
        answered = true
      } catch (error) {
        if (answered) logger?.warn({ err: error }, 'keys cannot be read; those known so far stay in force')
        answered = false
      }
    }
  }

  try {
    await refresh()
  } catch (error) {
    await pool.end()
    throw error
  }
  const refreshing = keepFresh()

  /** A change is in force here at once; should the look fail, the next one makes up for it. */
  async function changed<T>(result: T): Promise<T> {
    await refresh().catch(() => undefined)
    return result
  }

  return {
    authenticate(authorization) {
      if (authorization !== undefined) return ring.find(authorization)
      return anonymousAllowed && counter === 0n && !hasOperatorKey ? anonymous : null
    },
    list: async () => (await store.load()).map(({ record }) => record),
    create: async (key, by) => changed(await store.create(key, by)),
    revoke: async (name, by) => changed(await store.revoke(name, by)),
    hasKeys: () => hasOperatorKey || ring.size > 0,
    async close() {
      closing.abort()
      await refreshing
      await pool.end()
    },
  }
}
