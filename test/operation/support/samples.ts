import { readFileSync } from 'node:fs'
import type { StoredEvent } from '../../../src/operation/envelope.ts'

export interface Sample {
  readonly stored: StoredEvent
  /** What `decode` has to make of it. */
  readonly event: unknown
}

/** The recorded streams of one schema version: every type, and every member a type may have, occurs. */
export function samples(version: number): Sample[] {
  const path = new URL(`../samples/v${version}.json`, import.meta.url)
  const recorded: { stored: Omit<StoredEvent, 'revision'> & { revision: number }; event: unknown }[] = JSON.parse(
    readFileSync(path, 'utf8'),
  )
  return recorded.map(({ stored, event }) => ({ stored: { ...stored, revision: BigInt(stored.revision) }, event }))
}
