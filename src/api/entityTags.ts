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

/** The tags of `If-None-Match`; none of a header that is no list of them: it is passed over, as if it were not there. */
function knownTags({ 'if-none-match': header }: IncomingHttpHeaders): 'any' | readonly string[] {
  if (header === undefined) return []
  if (header.trim() === '*') return 'any'
  const tags: string[] = []
  listedTag.lastIndex = 0
  while (listedTag.lastIndex < header.length) {
    const found = listedTag.exec(header)
    if (found === null) return []
    if (found[1] !== undefined) tags.push(found[1])
  }
  return tags
}

/** `If-None-Match`, compared weakly (RFC 9110, section 13.1.2). Tags of others match nothing. */
export function knownRevisions(headers: IncomingHttpHeaders): KnownRevisions {
  const tags = knownTags(headers)
  if (tags === 'any') return tags
  return tags.flatMap((tag) => {
    const [, digits] = revisionTag.exec(tag) ?? []
    return digits === undefined ? [] : [BigInt(digits)]
  })
}

/** The same for what is no revision: whether the caller has what `tag` stands for. */
export function isKnownTag(headers: IncomingHttpHeaders, tag: string): boolean {
  const tags = knownTags(headers)
  return tags === 'any' || tags.some((one) => opaque(one) === opaque(tag))
}

const opaque = (tag: string) => tag.replace(/^W\//, '')

/** `revision` is null where a thing has none. */
export function isKnown(known: KnownRevisions, revision: bigint | null): boolean {
  return known === 'any' || (revision !== null && known.includes(revision))
}
