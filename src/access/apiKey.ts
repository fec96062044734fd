import { hash, randomBytes } from 'node:crypto'

export interface NewApiKey {
  readonly id: string
  /** `wb_<id>_<secret>`; the secret has 256 random bits. */
  readonly key: string
  /** SHA-256 of the whole key. A plain hash is enough: nobody guesses 256 random bits, so there is nothing to slow down. */
  readonly digest: Buffer
}

const form = /^wb_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/

export function makeApiKey(): NewApiKey {
  const id = randomBytes(8).toString('hex')
  const key = `wb_${id}_${randomBytes(32).toString('base64url')}`
  return { id, key, digest: digestOf(key) }
}

/** The part that finds it; null when it is not of the form. */
export function apiKeyId(key: string): string | null {
  return form.exec(key)?.[1] ?? null
}

export function digestOf(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

/** RFC 6750's `Bearer <token>`; null when it is not that, or longer than any key. */
export function bearerToken(authorization: string): string | null {
  if (authorization.length > tokenLengthMax) return null
  return bearer.exec(authorization)?.[1] ?? null
}

const tokenLengthMax = 512
