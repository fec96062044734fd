import { eventHash, noHash, type StoredEvent, withoutHash } from './envelope.ts'
import { eventId } from './eventId.ts'

export type Verification =
  | { readonly kind: 'intact'; readonly link: Link | null }
  | { readonly kind: 'broken'; readonly revision: bigint; readonly reason: string }

/** Where a chain stands after an event: pass it on to verify what follows. */
export interface Link {
  readonly revision: bigint
  readonly hash: string
  /** Events so far by key, from which ids follow; it is carried on and must not be changed. */
  readonly keys: ReadonlyMap<string, number>
}

/**
 * Checks a stretch of one stream against its hash chain: revisions without a gap, each hash over the stored bytes, each
 * `previousHash` its predecessor's, each id that of its stream, key and place under that key. `after` is where an earlier
 * call ended; null means the events begin at revision 0. Says the first place that does not hold.
 *
 * A chain shows that nothing within it was changed. That nothing was cut off its end only shows against a hash kept elsewhere.
 */
export function verifyStream(events: readonly StoredEvent[], after: Link | null = null): Verification {
  let revision = after === null ? -1n : after.revision
  let previousHash = after === null ? noHash : after.hash
  const keys = new Map(after?.keys)
  for (const event of events) {
    const broken = (reason: string): Verification => ({ kind: 'broken', revision: event.revision, reason })
    if (event.revision !== revision + 1n) return broken(`revision ${revision + 1n} is missing before it`)
    const split = withoutHash(event.metadata)
    if (split === null) return broken('its metadata does not end in a hash')
    const { stream, type, data } = event
    const digest = eventHash({
      stream,
      revision: event.revision,
      previousHash,
      type,
      data,
      dataBytes: Buffer.byteLength(data),
      metadata: split.metadata,
    })
    if (digest !== split.hash) return broken('its hash is not that of its bytes and its predecessor')
    const sealed = sealedMetadata(split.metadata)
    if (sealed?.previousHash !== previousHash) return broken("its previousHash is not its predecessor's hash")
    const n = keys.get(sealed.command) ?? 0
    if (event.id !== eventId(stream, sealed.command, n)) return broken('its id is not that of its stream and key')
    keys.set(sealed.command, n + 1)
    previousHash = digest
    revision = event.revision
  }
  return { kind: 'intact', link: revision < 0n ? null : { revision, hash: previousHash, keys } }
}

function sealedMetadata(text: string): { readonly command: string; readonly previousHash: string } | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('command' in value) || !('previousHash' in value)) return null
    const { command, previousHash } = value
    return typeof command === 'string' && typeof previousHash === 'string' ? { command, previousHash } : null
  } catch {
    return null
  }
}
