import { type Chain, planChains } from '../chains.ts'
import type { AppendOutcome, AppendRequest } from '../eventLog.ts'
import { splitBySize } from '../splitBySize.ts'
import { landedAt } from './unknownOutcome.ts'
import type { CallResult, Writer } from './writer.ts'

/** About this many characters go into one call; more are sent in several, one after the other. */
const callCharactersMax = 16_000_000

type Calls = Pick<Writer, 'call'>

/**
 * Appends a batch: all chains in one call. When something in the call is at fault, the store refuses it as a whole; then
 * halves are tried, down to one stream's chain, down to each of its requests, so that one bad command never kills its
 * neighbours (correctness.md row 2).
 */
export async function appendBatch(writer: Calls, batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
  const outcomes: AppendOutcome[] = batch.map(() => ({ kind: 'untried' }))
  const chains = planChains(batch)
  for (const chain of chains) {
    if (chain.links.length === 0) finish(chain, outcomes)
  }
  const sent = chains.filter((chain) => chain.links.length > 0)
  for (const part of splitBySize(sent, ({ characters }) => characters, callCharactersMax)) {
    await settle(writer, part, outcomes)
  }
  return outcomes
}

async function settle(writer: Calls, chains: readonly Chain[], outcomes: AppendOutcome[]): Promise<void> {
  const [first] = chains
  if (first === undefined) return
  if (chains.length === 1 && first.links.length > 1 && first.characters > callCharactersMax) {
    return settleLinkByLink(writer, first, outcomes)
  }
  const result = await writer.call(chains)
  if (result.kind !== 'refused') {
    for (const [index, chain] of chains.entries()) settleChain(chain, index, result, outcomes)
  } else if (chains.length > 1) {
    const middle = Math.ceil(chains.length / 2)
    await settle(writer, chains.slice(0, middle), outcomes)
    await settle(writer, chains.slice(middle), outcomes)
  } else if (first.links.length > 1) {
    await settleLinkByLink(writer, first, outcomes)
  } else {
    setAll(first, outcomes, refusal(result))
  }
}

async function settleLinkByLink(writer: Calls, chain: Chain, outcomes: AppendOutcome[]): Promise<void> {
  let expected = chain.expected
  for (const link of chain.links) {
    const eventCount = link.request.events.length
    const single = { ...chain, expected, links: [link], eventCount, characters: 0, end: null }
    await settle(writer, [single], outcomes)
    if (outcomes[link.index]?.kind !== 'appended') return
    expected = link.revision
  }
  finish(chain, outcomes)
}

function settleChain(chain: Chain, index: number, result: CallResult, outcomes: AppendOutcome[]): void {
  switch (result.kind) {
    case 'done': {
      const answer = result.answers[index]
      const [first] = chain.links
      if (answer?.kind === 'appended') setAppended(chain, answer.base, outcomes)
      else if (answer?.kind === 'conflict' && first !== undefined) outcomes[first.index] = answer
      break
    }
    case 'settled': {
      const base = landedAt(chain, result.found)
      // What is not there now never will be; whether it conflicted or was never run makes no difference to that.
      if (base === null) setAll(chain, outcomes, { kind: 'unavailable' })
      else setAppended(chain, base, outcomes)
      break
    }
    case 'unavailable':
    case 'unknown':
      setAll(chain, outcomes, { kind: result.kind })
      break
    case 'refused':
      setAll(chain, outcomes, refusal(result))
      break
  }
}

function setAppended(chain: Chain, base: bigint, outcomes: AppendOutcome[]): void {
  let position = 0n
  let next = base
  for (const { index, request, revision } of chain.links) {
    next += BigInt(request.events.length)
    if (request.events.length > 0) position = next
    outcomes[index] = { kind: 'appended', revision, position }
  }
  finish(chain, outcomes)
}

/** The requests behind the links, once all links are appended. */
function finish(chain: Chain, outcomes: AppendOutcome[]): void {
  if (chain.end !== null) outcomes[chain.end.index] = chain.end.outcome
}

/** The chain is one transaction: all its links share what became of it. */
function setAll(chain: Chain, outcomes: AppendOutcome[], outcome: AppendOutcome): void {
  for (const { index } of chain.links) outcomes[index] = outcome
}

function refusal(result: CallResult & { kind: 'refused' }): AppendOutcome {
  if (result.code !== uniqueViolation) return { kind: 'rejected', reason: 'invalid' }
  if (result.constraint === 'events_id_key') return { kind: 'duplicate' }
  // Someone wrote past append_chains(), without the head's lock: an append tried again sees what is there now.
  return { kind: 'unavailable' }
}

const uniqueViolation = '23505'
