import { hash } from 'node:crypto'

const namespace = 'waybill:event:1'

/**
 * Id of the event that is the n-th (from 0) of `stream` under idempotency key `key`: the same three always give the same
 * id, so the log's unique index on ids refuses a second append of one command, at any age.
 *
 * A UUID of version 8 (RFC 9562): its first 32 bits derive from the stream alone, the other 90 free bits are those of a
 * SHA-256. Ids of one stream are thus neighbours in the index's b-tree, which keeps its hot pages few; a version 5 id
 * spreads each event over the whole tree.
 */
export function eventId(stream: string, key: string, n: number): string {
  const digest = hash('sha256', `${namespace}\n${stream}\n${key}\n${n}`, 'hex')
  const variant = variantDigits.charAt(Number.parseInt(digest.charAt(7), 16) & 3)
  return `${streamPrefix(stream)}-${digest.slice(0, 4)}-8${digest.slice(4, 7)}-${variant}${digest.slice(8, 11)}-${digest.slice(12, 24)}`
}

const variantDigits = '89ab'

/** FNV-1a, 32 bits. Only places the id; that two streams share a prefix harms nothing. */
function streamPrefix(stream: string): string {
  let bits = 0x811c9dc5
  for (let index = 0; index < stream.length; index += 1) {
    bits = Math.imul(bits ^ stream.charCodeAt(index), 0x01000193)
  }
  return (bits >>> 0).toString(16).padStart(8, '0')
}

const operationNamespace = Buffer.from('6f1c7d1e6a5b5c0e9d3f2b8a47e0c911', 'hex')

/** Id of an operation opened without one: UUIDv5 of actor and key, so that a retry finds the operation it opened. */
export function generatedOperationId(actor: string, key: string): string {
  const name = Buffer.from(`${actor}\n${key}`)
  const digest = hash('sha1', Buffer.concat([operationNamespace, name]), 'hex')
  const variant = variantDigits.charAt(Number.parseInt(digest.charAt(16), 16) & 3)
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}
