import type { IncomingHttpHeaders } from 'node:http'
import { invalidHeader } from './problem.ts'

export function entityTag(revision: bigint): string {
  return `"${revision}"`
}

/** Of a read that may be kept by who asked, and must be asked for again before it is used. */
export function taggedHeaders(revision: bigint): { etag: string; 'cache-control': string } {
  return { etag: entityTag(revision), 'cache-control': 'private, no-cache' }
}

/** `W/` is passed over everywhere: proxies weaken the tags of what they compress. */
const revisionTag = /^(?:W\/)?"(0|[1-9]\d{0,15})"$/

/** `If-Match` of a command as the revision it asks for; undefined for `*`, which is any. Throws ProblemError. */
export function expectedRevision(ifMatch: string): bigint | undefined {
  const tag = ifMatch.trim()
  if (tag === '*') return undefined
  const [, digits] = revisionTag.exec(tag) ?? []
  if (digits === undefined) throw invalidHeader('If-Match', 'must be one revision in quotes, such as "3", or *')
  return BigInt(digits)
}

/** What `If-None-Match` says that the caller has: anything there is, or some revisions. */
export type KnownRevisions = 'any' | readonly bigint[]

/** RFC 9110, section 8.8.3. Between the quotes of a tag there may be a comma. */
const listedTag = /\s*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)|\s*(?:,|$)/y

/**
 * `If-None-Match`, compared weakly (RFC 9110, section 13.1.2). Tags of others match nothing; a header that is none at all
 * is passed over, as if it were not there: the answer is then whole.
 */
export function knownRevisions({ 'if-none-match': header }: IncomingHttpHeaders): KnownRevisions {
  if (header === undefined) return []
  if (header.trim() === '*') return 'any'
  const revisions: bigint[] = []
  listedTag.lastIndex = 0
  while (listedTag.lastIndex < header.length) {
    const found = listedTag.exec(header)
    if (found === null) return []
    const [, digits] = revisionTag.exec(found[1] ?? '') ?? []
    if (digits !== undefined) revisions.push(BigInt(digits))
  }
  return revisions
}

/** `revision` is null where a thing has none. */
export function isKnown(known: KnownRevisions, revision: bigint | null): boolean {
  return known === 'any' || (revision !== null && known.includes(revision))
}
