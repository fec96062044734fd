import { joinedUtf8 } from '../../postgres/joinedUtf8.ts'
import type { Chain } from '../chains.ts'
import { textSeparator } from '../checkRequest.ts'

export const appendQuery = `
  SELECT head_before::text, conflicts, turn::text, numbers
  FROM waybill_log.append_chains($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14)`

export interface Caller {
  readonly logId: string
  /** The session's own number. */
  readonly session: bigint
  readonly writerEpoch: bigint
}

/** Parameters of a call that appends nothing: prepares the statement and everything behind it. */
export function emptyCall({ logId, session, writerEpoch }: Caller): string[] {
  return [logId, `${session}`, `${writerEpoch}`, '', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '', '', '']
}

/**
 * Parameters of append_chains() for these chains, one text per column; `numbers` are the chains' streams', as far as they
 * are known. Building text this way costs 2.3 us an event; arrays of JavaScript values, which the driver quotes one by one,
 * 6.3 us.
 */
export function encodeCall(
  caller: Caller,
  chains: readonly Chain[],
  numbers: readonly number[],
): readonly (string | Buffer)[] {
  const streams: string[] = []
  const expected: bigint[] = []
  const counts: number[] = []
  const bases: number[] = []
  const eventChains: number[] = []
  const ids: string[] = []
  const types: string[] = []
  const data: string[] = []
  const metadata: string[] = []
  for (const [index, chain] of chains.entries()) {
    streams.push(chain.stream)
    expected.push(chain.expected)
    counts.push(chain.eventCount)
    bases.push(ids.length)
    for (const { request } of chain.links) {
      for (const event of request.events) {
        eventChains.push(index + 1)
        ids.push(event.id)
        types.push(event.type)
        data.push(event.data)
        metadata.push(event.metadata)
      }
    }
  }
  return [
    caller.logId,
    `${caller.session}`,
    `${caller.writerEpoch}`,
    streams.join(textSeparator),
    `{${numbers.join(',')}}`,
    `{${expected.join(',')}}`,
    `{${counts.join(',')}}`,
    `{${bases.join(',')}}`,
    `{${eventChains.join(',')}}`,
    // Counted by the function itself.
    '{}',
    `{${ids.join(',')}}`,
    types.join(textSeparator),
    joinedUtf8(data, textSeparator),
    joinedUtf8(metadata, textSeparator),
  ]
}

/** What append_chains() answered, for each chain in order. */
export type ChainAnswer =
  /** Its events have the positions after `base`. */
  | { readonly kind: 'appended'; readonly base: bigint }
  | { readonly kind: 'conflict'; readonly actualRevision: bigint | null }

export function decodeAnswer(chains: readonly Chain[], headBefore: string, conflicts: string): ChainAnswer[] {
  const actual = new Map<number, bigint>()
  for (const line of conflicts === '' ? [] : conflicts.split('\n')) {
    const colon = line.indexOf(':')
    actual.set(Number(line.slice(0, colon)) - 1, BigInt(line.slice(colon + 1)))
  }
  let base = BigInt(headBefore)
  return chains.map((chain, index) => {
    const revision = actual.get(index)
    if (revision !== undefined) return { kind: 'conflict', actualRevision: revision === -1n ? null : revision }
    const answer: ChainAnswer = { kind: 'appended', base }
    base += BigInt(chain.eventCount)
    return answer
  })
}
