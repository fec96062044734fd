/** service: commands. definer: pipelines. viewer: queries. auditor: log and history. operator: all of it, and the keys. */
export const roles = ['service', 'definer', 'viewer', 'auditor', 'operator'] as const

export type Role = (typeof roles)[number]

/** What a key may report for and into, and define, beyond what its roles say. Absent: all there are. */
export interface Binding {
  /** The services whose reports it may send; at least one, without repeats. */
  readonly services?: readonly string[]
  /** The pipelines whose operations it may open and report to, and that it may define. The same. */
  readonly pipelines?: readonly string[]
}

/** A key can be bound to so many services, and to so many pipelines: nodes keep all keys in memory. */
export const boundNamesMax = 16

/** What a key is made from. An operator's key is not bound. */
export interface NewKey extends Binding {
  readonly name: string
  readonly roles: readonly Role[]
}

/** Who sends a request. */
export interface Caller {
  /** The `actor` of every event that comes of it. */
  readonly name: string
  /** Of the key, not secret; null: no key was needed, or it is the configuration's. */
  readonly keyId: string | null
  readonly roles: readonly Role[]
  /** `configuration`: its key is not in the database and cannot be revoked there. */
  readonly origin: 'database' | 'configuration' | 'nobody'
  /** Absent: its key is not bound. */
  readonly binding?: Binding
}

/** What may be known of a key. */
export interface KeyRecord extends Binding {
  readonly id: string
  /** 1 to 64 characters; unique among the keys in force. */
  readonly name: string
  /** At least one, without repeats. */
  readonly roles: readonly Role[]
  /** RFC 3339, UTC, milliseconds. */
  readonly createdAt: string
  /** Name of the caller who made it. */
  readonly createdBy: string
}

export type KeyRefusal =
  /** A key of that name is in force. */
  | 'name_taken'
  /** There are as many keys as a node keeps in memory: 10,000, which is some 4 MB unless they are bound to many names. */
  | 'full'
  /** Nobody could manage keys any more (or yet): an operator's key must come first and go last. */
  | 'operator_needed'
  /** The caller's own key was revoked meanwhile, or there is a key by now and the caller has none. */
  | 'caller_unknown'

export type CreateKeyResult =
  /** `key` is the secret: it is shown here and kept nowhere. */
  | { readonly kind: 'created'; readonly record: KeyRecord; readonly key: string }
  | { readonly kind: 'refused'; readonly refusal: KeyRefusal }

export type RevokeKeyResult =
  | { readonly kind: 'revoked' }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'refused'; readonly refusal: KeyRefusal }

/** Where a change of keys comes from, for the record. */
export interface ChangeOrigin {
  /** Of the connection; null: it came by none. */
  readonly address: string | null
  readonly request?: string
  readonly traceparent?: string
}

/** What the log says of keys. The log outlives the database of the keys, and knows what a restore of that has forgotten. */
export interface KeyTrail {
  /** Resolves once on record; otherwise throws, and the change must not be made. */
  created(key: KeyRecord, by: Caller, from: ChangeOrigin): Promise<void>
  /** The same. */
  revoked(key: { readonly id: string; readonly name: string }, by: Caller, from: ChangeOrigin): Promise<void>
  /** Keys are there of which the log says nothing: they were made before it did. */
  found(): Promise<void>
  /** All that is on record by now. Throws when the log cannot be read. */
  learn(): Promise<{ readonly everMade: boolean; readonly revoked: ReadonlySet<string> }>
}

/**
 * Why nobody but the configuration's key is let in:
 * - `stale`: the database has not answered for so long that keys may have been revoked many times over.
 * - `lost`: there were keys, and the database holds no trace of any: it was emptied, or is another one.
 */
export type Closed = 'stale' | 'lost'

/**
 * The keys as this node knows them, and their management. Authenticating asks nobody: what it knows is at most
 * `refreshMs` and a query old, and stays in force when the database is away.
 */
export interface Access {
  /**
   * Who presents this `Authorization` header; null: nobody who is known. Without the header it is everybody's
   * `anonymous`, with every role, as long as that is allowed and there has never been a key.
   */
  authenticate(authorization: string | undefined): Caller | null
  /** Keys in force, by name. Throws KeysUnavailableError, as the two below; those throw NotRecordedError too. */
  list(): Promise<readonly KeyRecord[]>
  /** In force on this node when it resolves, on others within two seconds. */
  create(key: NewKey, by: Caller, from?: ChangeOrigin): Promise<CreateKeyResult>
  /** The same. */
  revoke(name: string, by: Caller, from?: ChangeOrigin): Promise<RevokeKeyResult>
  /** Asked beside `authenticate`, which goes by the keys known last. Null: they are as they should be. */
  closed(): Closed | null
  /** Whether there is a key that lets anybody in. */
  hasKeys(): boolean
  close(): Promise<void>
}

/** The database did not answer; whether a change was made is not known. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError'
}

/** The log did not take the record of a change, so that the change was not made. */
export class NotRecordedError extends Error {
  override readonly name = 'NotRecordedError'
}

/** Longer than a restart or a failover of the database. */
export const keysAgeMsMaxDefault = 300_000

/** The actor of requests without a key. */
export const anonymousName = 'anonymous'

/** The actor of the configuration's key. */
export const configuredOperatorName = 'operator'

/** An event's actor must tell one from another, so no key is called like those who have none in the database. */
export const reservedNames: readonly string[] = [anonymousName, configuredOperatorName]
