import { hash } from 'node:crypto'

/**
 * Where a page ended, bound to the filter and the order it was read with (AIP-158): with another filter the place means
 * nothing. Opaque, not secret: it holds the last row's sort value and id, which the caller has seen.
 */
export function encodePageToken(place: readonly string[], filter: string): string {
  return Buffer.from(JSON.stringify([digest(filter), ...place])).toString('base64url')
}

/** The place, or why there is none. `parts` is how many strings a place has. */
export function decodePageToken(
  token: string,
  filter: string,
  parts: number,
): readonly string[] | 'malformed' | 'another_filter' {
  let decoded: unknown
  try {
    decoded = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    return 'malformed'
  }
  if (!Array.isArray(decoded) || decoded.length !== parts + 1) return 'malformed'
  const strings = decoded.filter((part) => typeof part === 'string')
  if (strings.length !== decoded.length) return 'malformed'
  const [boundTo, ...place] = strings
  return boundTo === digest(filter) ? place : 'another_filter'
}

const digest = (filter: string) => hash('sha256', filter, 'base64url').slice(0, 12)
