/** Of one who was not let in. */
export interface RefusedRequest {
  readonly status: 401 | 403
  readonly method: string
  /** As it was registered: no ids. */
  readonly route: string
  readonly address: string | null
  /** Of the key that was presented, which may not exist; the secret is nowhere. Null: it is not of the form of a key. */
  readonly key: string | null
  /** Who it is, where that is known. */
  readonly name: string | null
}

/** The part of a pino logger that this takes. */
export interface RefusalLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface RefusalLog {
  note(refused: RefusedRequest): void
  /** What is left is told. */
  close(): void
}

export const windowMs = 60_000
/** Told apart in one window; all others are told as a number. */
export const apartMax = 100

/**
 * Refusals (401, 403) in the service's log, with `audit: "refused"`: the first of each kind at once, how many followed once a
 * minute. Not in the log of events: it is kept for ever, and who has no key must not be able to make it grow.
 */
export function createRefusalLog(logger: RefusalLogger | undefined): RefusalLog {
  const kinds = new Map<string, { readonly refused: RefusedRequest; more: number }>()
  let others = 0

  function tell(): void {
    for (const { refused, more } of kinds.values()) {
      if (more > 0) logger?.warn({ audit: 'refused', ...refused, count: more }, 'requests were refused')
    }
    if (others > 0) logger?.warn({ audit: 'refused', count: others }, 'requests of other kinds were refused')
    kinds.clear()
    others = 0
  }

  const clock = setInterval(tell, windowMs)
  clock.unref()

  return {
    note(refused) {
      const { status, address, key, name } = refused
      const kind = `${status} ${address} ${key} ${name}`
      const known = kinds.get(kind)
      if (known !== undefined) {
        known.more += 1
      } else if (kinds.size < apartMax) {
        kinds.set(kind, { refused, more: 0 })
        logger?.warn({ audit: 'refused', ...refused, count: 1 }, 'a request was refused')
      } else {
        others += 1
      }
    },
    close() {
      clearInterval(clock)
      tell()
    },
  }
}
