import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { boundedBy, createPool, type PoolSettings } from '../postgres/connection.ts'
import { type MigrateResult, migrate } from '../postgres/migrate.ts'
import {
  type Access,
  anonymousName,
  type Caller,
  type ChangeOrigin,
  type Closed,
  configuredOperatorName,
  KeysUnavailableError,
  type KeyTrail,
  keysAgeMsMaxDefault,
} from './access.ts'
import { digestOf } from './apiKey.ts'
import { createKeyRing } from './keyRing.ts'
import { createKeyStore } from './keyStore.ts'

/** The part of a pino logger that this module uses. */
export interface AccessLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** A change is in force on every node after a pause and a look, each of them as long as this at most. */
export const refreshMsDefault = 1_000

/** At the start the database is asked again for so long. */
const firstLookMsMax = 30_000

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
  /** What the log says of keys, and where changes are put on record. Default: nothing is. */
  readonly trail?: KeyTrail
  /** How old what is known of keys may be; beyond it nobody is let in by them. Default: `keysAgeMsMaxDefault`. */
  readonly keysAgeMsMax?: number
  readonly monotonicMs?: () => number
  readonly logger?: AccessLogger
}

/** Brings the schema of the keys up to date; run before `openAccess`, as the owner of the database. */
export function migrateAccess(connectionString: string): Promise<MigrateResult> {
  return migrate({
    connectionString,
    module: 'access',
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
    trail,
    keysAgeMsMax = keysAgeMsMaxDefault,
    monotonicMs = () => performance.now(),
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
  const known = createKnowledge(trail, logger)
  let counter = -1n
  let answeredMs = monotonicMs()
  let closed: Closed | null = null

  async function refresh(): Promise<void> {
    const newest = await store.counter()
    answeredMs = monotonicMs()
    if (newest !== counter || known.isBehind()) {
      await known.learn(newest > 0n)
      ring.replace((await store.load()).filter(({ record }) => !known.isRevoked(record.id)))
      // Read before the keys: they may be newer than it says, and are then read again, but never older.
      counter = newest
    }
    close(known.everMade() && counter === 0n ? 'lost' : null)
  }

  function close(reason: Closed | null): void {
    if (reason !== null && reason !== closed) logger?.warn({ reason }, closedTexts[reason])
    closed = reason
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
        if (closed === null && monotonicMs() - answeredMs > keysAgeMsMax) close('stale')
      }
    }
  }

  /** A server that is busy, or coming up, may not answer within one look's bound. Nobody is served meanwhile. */
  async function lookFirst(): Promise<void> {
    const sinceMs = monotonicMs()
    for (let failures = 0; ; failures += 1) {
      try {
        return await refresh()
      } catch (error) {
        if (!(error instanceof KeysUnavailableError) || monotonicMs() - sinceMs > firstLookMsMax) throw error
        if (failures === 0) logger?.warn({ err: error }, 'keys cannot be read; the start waits for them')
        await delay(refreshMs)
      }
    }
  }

  try {
    await known.begin()
    await lookFirst()
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
      return anonymousAllowed && counter === 0n && !hasOperatorKey && closed === null ? anonymous : null
    },
    closed: () => closed,
    list: async () => (await store.load()).map(({ record }) => record).filter(({ id }) => !known.isRevoked(id)),
    create: async (key, by, from = unknownOrigin) =>
      changed(await store.create(key, by, async (made) => trail?.created(made, by, from))),
    revoke: async (name, by, from = unknownOrigin) =>
      changed(await store.revoke(name, by, async (key) => trail?.revoked(key, by, from))),
    hasKeys: () => hasOperatorKey || ring.size > 0,
    async close() {
      closing.abort()
      await refreshing
      await pool.end()
    },
  }
}

const unknownOrigin: ChangeOrigin = { address: null }

const closedTexts: Readonly<Record<Closed, string>> = {
  stale: 'the database has not answered about keys for too long: no key but the configured one is taken until it does',
  lost:
    'keys were made for this log, and the database holds none: no request is answered without WAYBILL_OPERATOR_KEY ' +
    '(docs/access.md, "When the keys are gone")',
}

/** What the log says of keys. While it cannot be read, the database alone is gone by, and the log asked again. */
function createKnowledge(trail: KeyTrail | undefined, logger: AccessLogger | undefined) {
  let revoked: ReadonlySet<string> = new Set()
  let everMade = false
  let behind = false

  async function ask(): Promise<boolean> {
    if (trail === undefined) return true
    const found = await trail.learn()
    revoked = found.revoked
    everMade ||= found.everMade
    return found.everMade
  }

  return {
    isRevoked: (id: string) => revoked.has(id),
    everMade: () => everMade,
    isBehind: () => behind,
    /** Rejects when the log cannot be read: who begins must know. */
    begin: ask,
    /** `made`: whether the database knows of keys. */
    async learn(made: boolean): Promise<void> {
      everMade ||= made
      try {
        if (!(await ask()) && made) await trail?.found()
        behind = false
      } catch (error) {
        if (!behind) logger?.warn({ err: error }, 'the log cannot be asked about keys; it is asked again')
        behind = true
      }
    },
  }
}
