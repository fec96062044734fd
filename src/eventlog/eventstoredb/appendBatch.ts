import { type Chain, type Link, planChains } from '../chains.ts'
import { bytesOf, isJson } from '../checkRequest.ts'
import { type AppendOutcome, type AppendRequest, appendBytesMax } from '../eventLog.ts'
import { splitBySize } from '../splitBySize.ts'
import type { AppendResult, Appends } from './appends.ts'
import type { Reads } from './reads.ts'
import { toStored } from './wire.ts'

export interface AppendTools {
  readonly appends: Appends
  readonly reads: Reads
  /** Told the position of each append. */
  readonly saw: (position: bigint) => void
}

/** Appends a batch: the chains at the same time, each as one append where it fits, and one append at a time otherwise. */
export async function appendBatch(
  tools: AppendTools,
  batch: readonly AppendRequest[],
): Promise<readonly AppendOutcome[]> {
  const outcomes: AppendOutcome[] = batch.map(() => ({ kind: 'untried' }))
  await Promise.all(planChains(batch).map((chain) => appendChain(tools, chain, outcomes)))
  return outcomes
}

/** Place of the first link that the store would let pass and must not: a text that is no JSON, or an id twice in one chain. */
function findFault(links: readonly Link[]): { readonly place: number; readonly outcome: AppendOutcome } | null {
  const ids = new Set<string>()
  for (const [place, { request }] of links.entries()) {
    for (const { id, data, metadata } of request.events) {
      if (!isJson(data) || !isJson(metadata)) return { place, outcome: { kind: 'rejected', reason: 'invalid' } }
      if (ids.has(id)) return { place, outcome: { kind: 'duplicate' } }
      ids.add(id)
    }
  }
  return null
}

async function appendChain(tools: AppendTools, chain: Chain, outcomes: AppendOutcome[]): Promise<void> {
  const fault = findFault(chain.links)
  const links = fault === null ? chain.links : chain.links.slice(0, fault.place)
  let expected = chain.expected
  // What goes out as one append.
  for (const group of splitBySize(links, bytesOfLink, appendBytesMax)) {
    if (!(await appendGroup(tools, chain.stream, expected, group, outcomes))) return
    expected = group.at(-1)?.revision ?? expected
  }
  const faulty = fault === null ? undefined : chain.links[fault.place]
  if (fault !== null && faulty !== undefined) {
    // The revision is checked first, by every store.
    const other = links.length === 0 ? await otherThan(tools, chain.stream, expected) : null
    outcomes[faulty.index] = other ?? fault.outcome
  } else if (chain.end !== null) {
    outcomes[chain.end.index] = chain.end.outcome
  }
}

const bytesOfLink = ({ request }: Link) => bytesOf(request.events)

/** True when all links were appended. */
async function appendGroup(
  tools: AppendTools,
  stream: string,
  expected: bigint,
  group: readonly Link[],
  outcomes: AppendOutcome[],
): Promise<boolean> {
  const [first] = group
  const requested = group.flatMap(({ request }) => request.events)
  const events = requested.map(toStored)
  if (first === undefined) return true
  if (events.length === 0) {
    const other = await otherThan(tools, stream, expected)
    for (const { index, revision } of group) outcomes[index] = { kind: 'appended', revision, position: 0n }
    if (other !== null) {
      for (const { index } of group) outcomes[index] = { kind: 'untried' }
      outcomes[first.index] = other
    }
    return other === null
  }
  const result = await tools.appends.append({ stream, expected, events }, bytesOf(requested))
  if (result.kind === 'too_large' && group.length > 1) {
    let next = expected
    for (const link of group) {
      if (!(await appendGroup(tools, stream, next, [link], outcomes))) return false
      next = link.revision
    }
    return true
  }
  return settleGroup(tools, stream, expected, group, result, outcomes)
}

async function settleGroup(
  tools: AppendTools,
  stream: string,
  expected: bigint,
  group: readonly Link[],
  result: AppendResult,
  outcomes: AppendOutcome[],
): Promise<boolean> {
  const [first] = group
  switch (result.kind) {
    case 'written':
      tools.saw(result.position)
      return placeLinks(tools, stream, expected, group, result.position, outcomes)
    case 'conflict':
      if (first !== undefined) outcomes[first.index] = result
      return false
    case 'too_large':
      if (first !== undefined) outcomes[first.index] = { kind: 'rejected', reason: 'too_large' }
      return false
    case 'unavailable':
    case 'unknown':
      for (const { index } of group) outcomes[index] = result
      return false
    default:
      return result satisfies never
  }
}

/** The store tells the position of an append's last event only; those of the links before it are read. */
async function placeLinks(
  { reads }: AppendTools,
  stream: string,
  expected: bigint,
  group: readonly Link[],
  lastPosition: bigint,
  outcomes: AppendOutcome[],
): Promise<boolean> {
  const writing = group.filter(({ request }) => request.events.length > 0)
  const last = writing.at(-1)
  const positions = new Map<bigint, bigint>()
  if (last !== undefined) positions.set(last.revision, lastPosition)
  if (writing.length > 1 && last !== undefined) {
    const count = Number(last.revision - expected)
    const found = await reads.stream(stream, expected + 1n, 'forwards', count).catch(() => [])
    for (const { revision, position } of found) positions.set(revision, position)
  }
  for (const { index, request, revision } of group) {
    const position = request.events.length === 0 ? 0n : positions.get(revision)
    // It is appended; but a receipt with another position than the log's would be contradicted by the next one.
    outcomes[index] = position === undefined ? { kind: 'unknown' } : { kind: 'appended', revision, position }
  }
  return group.every(({ index }) => outcomes[index]?.kind === 'appended')
}

/** Null: the stream's last revision is this one (-1n: there is none). */
async function otherThan({ reads }: AppendTools, stream: string, expected: bigint): Promise<AppendOutcome | null> {
  try {
    const [last] = await reads.stream(stream, 'end', 'backwards', 1)
    const actual = last?.revision ?? -1n
    return actual === expected ? null : { kind: 'conflict', actualRevision: last?.revision ?? null }
  } catch {
    return { kind: 'unavailable' }
  }
}
