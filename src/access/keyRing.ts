import { timingSafeEqual } from 'node:crypto'
import type { Caller, KeyRecord } from './access.ts'
import { apiKeyId, bearerToken, digestOf } from './apiKey.ts'

export interface RingKey {
  readonly record: KeyRecord
  readonly digest: Buffer
}

/** Every key in force, in memory. */
export interface KeyRing {
  readonly size: number
  /** Null: not a key that is in force, or not a header of the right form. */
  find(authorization: string): Caller | null
  /** From now on these are in force, and no others. */
  replace(keys: readonly RingKey[]): void
}

/** Compared with when there is no key of that id: looking for one that is not there must take no less. */
const nothing = Buffer.alloc(32)

/**
 * `configured`: a caller whose key is not in the database, with the key's digest.
 *
 * A presented key is hashed, and the digest is compared in constant time. As that costs some 2 us, headers that were
 * found right are remembered until the keys change. That memory tells a guesser nothing: only right headers get into it
 * (so it is no larger than the ring), and a look-up first compares hashes, seeded anew in each process, of the whole
 * header: unlike a comparison from the front, its time does not tell how much of a guess was right.
 */
export function createKeyRing(configured: { readonly caller: Caller; readonly digest: Buffer } | null): KeyRing {
  let keys = new Map<string, { readonly caller: Caller; readonly digest: Buffer }>()
  const found = new Map<string, Caller>()

  function look(authorization: string): Caller | null {
    const token = bearerToken(authorization)
    if (token === null) return null
    const digest = digestOf(token)
    const key = keys.get(apiKeyId(token) ?? '')
    const isKey = timingSafeEqual(digest, key?.digest ?? nothing)
    const isConfigured = timingSafeEqual(digest, configured?.digest ?? nothing)
    if (isConfigured && configured !== null) return configured.caller
    return isKey && key !== undefined ? key.caller : null
  }

  return {
    get size() {
      return keys.size
    },
    find(authorization) {
      const known = found.get(authorization)
      if (known !== undefined) return known
      const caller = look(authorization)
      // The same key can be written with other spaces before it: without this, that would let the memory grow.
      if (caller !== null && found.size <= keys.size) found.set(authorization, caller)
      return caller
    },
    replace(ringKeys) {
      keys = new Map(ringKeys.map(({ record, digest }) => [record.id, { digest, caller: callerWith(record) }]))
      found.clear()
    },
  }
}

function callerWith({ id, name, roles, services, pipelines }: KeyRecord): Caller {
  const caller: Caller = { name, keyId: id, roles, origin: 'database' }
  if (services === undefined && pipelines === undefined) return caller
  return {
    ...caller,
    binding: { ...(services === undefined ? {} : { services }), ...(pipelines === undefined ? {} : { pipelines }) },
  }
}
