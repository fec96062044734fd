import { checkRequest } from './checkRequest.ts'
import type { AppendOutcome, AppendRequest } from './eventLog.ts'

/** One stream's requests of a batch, as far as they can all be appended together. */
export interface Chain {
  readonly stream: string
  /** The stream's last revision that the first link expects; -1n: no stream. The one thing left to ask the store. */
  readonly expected: bigint
  readonly links: readonly Link[]
  readonly eventCount: number
  /** Rough size of its events as text. */
  readonly characters: number
  /** What becomes of the first request behind the links, once all links are appended (those behind it: untried). Null: none is. */
  readonly end: { readonly index: number; readonly outcome: AppendOutcome } | null
}

export interface Link {
  /** Place of the request in its batch. */
  readonly index: number
  readonly request: AppendRequest
  /** The stream's last revision once this link is appended; -1n when a check found no stream, as expected. */
  readonly revision: bigint
}

/** Indexes of a batch's requests by stream, both in order of first appearance. */
export function groupByStream(batch: readonly AppendRequest[]): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const [index, { stream }] of batch.entries()) {
    const group = groups.get(stream)
    if (group === undefined) groups.set(stream, [index])
    else group.push(index)
  }
  return groups
}

/**
 * Splits a batch into chains. Only a chain's first link depends on what the store holds: whether each later one expects
 * what the one before leaves behind is known beforehand, and where it does not, the chain ends.
 */
export function planChains(batch: readonly AppendRequest[]): readonly Chain[] {
  return [...groupByStream(batch)].map(([stream, indexes]) => planChain(batch, stream, indexes))
}

function planChain(batch: readonly AppendRequest[], stream: string, indexes: readonly number[]): Chain {
  const links: Link[] = []
  let expected = -1n
  let revision: bigint | null = null
  let eventCount = 0
  let characters = 0
  let end: Chain['end'] = null
  for (const index of indexes) {
    const request = batch[index]
    if (request === undefined) continue
    const reason = checkRequest(request)
    if (reason !== null) {
      end = { index, outcome: { kind: 'rejected', reason } }
      break
    }
    const expectedHere = request.expectedRevision === 'noStream' ? -1n : request.expectedRevision
    if (revision === null) {
      expected = expectedHere
    } else if (expectedHere !== revision) {
      end = { index, outcome: { kind: 'conflict', actualRevision: revision === -1n ? null : revision } }
      break
    }
    revision = expectedHere + BigInt(request.events.length)
    eventCount += request.events.length
    for (const event of request.events) characters += event.data.length + event.metadata.length + event.type.length + 36
    links.push({ index, request, revision })
  }
  return { stream, expected, links, eventCount, characters, end }
}
