import { createHash } from 'node:crypto'
import type { Findings } from './findings.ts'
import type { LoggedEvent } from './loggedEvent.ts'

const firstPreviousHash = '0'.repeat(64)
const suffix = /,"hash":"([0-9a-f]{64})"\}$/

/** Recomputes every hash from the bytes as they were answered, by the recipe of docs/events.md alone. */
export function checkChain(events: readonly LoggedEvent[], findings: Findings): void {
  let previousHash = firstPreviousHash
  for (const event of events) {
    findings.looked('chain')
    const problem = (detail: string): void =>
      findings.fault('chain', event.stream, `revision ${event.revision}: ${detail}`)
    const hash = suffix.exec(event.metadataText)?.[1]
    if (hash === undefined) {
      problem('carries no hash')
      continue
    }
    if (event.metadata.previousHash !== previousHash) problem('does not follow its predecessor')
    if (hashOf(event, previousHash) !== hash) problem('its hash is not that of its bytes')
    previousHash = hash
  }
}

/** Six netstrings: stream, revision, previous hash, type, data, and the metadata as it was before `hash` was added. */
export function hashOf(event: LoggedEvent, previousHash: string): string {
  const metadata = event.metadataText.replace(suffix, '}')
  const sum = createHash('sha256')
  for (const field of [event.stream, String(event.revision), previousHash, event.type, event.dataText, metadata]) {
    sum.update(`${Buffer.byteLength(field)}:${field},`)
  }
  return sum.digest('hex')
}
