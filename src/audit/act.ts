/** The type of every event in the audit stream. */
export const operatorActed = 'OperatorActed'

export const actions = [
  'keys.create',
  'keys.revoke',
  /** Keys of before the log said anything of keys. */
  'keys.found',
  'projections.pause',
  'projections.resume',
  'projections.rebuild',
  'projections.retry',
  'projections.skip',
] as const

export type Action = (typeof actions)[number]

/** Who did it, and from where. */
export interface Actor {
  /** The name of the key: the event's `actor`. */
  readonly name: string
  /** The key's id, which is not secret; null: no key, or the configuration's. */
  readonly keyId: string | null
  /** Of the connection: a proxy's, where there is one. Null: it came by none. */
  readonly address: string | null
}

/** What an operator does. */
export interface Act {
  readonly action: Action
  /** The name of what it is done to: a key, or a projection. */
  readonly target: string
  /** The id of the key that is made or revoked. */
  readonly key?: string
  /** Of a key that is made. */
  readonly roles?: readonly string[]
  /** What it is bound to. */
  readonly services?: readonly string[]
  readonly pipelines?: readonly string[]
  /** Of what a projection is told to retry or to skip. */
  readonly stream?: string
  readonly revision?: number
  readonly reason?: string
  readonly by: Actor
  /** The request's id: its idempotency key, where it has one. Default: a new one. */
  readonly request?: string
  readonly traceparent?: string
}
