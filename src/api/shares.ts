import { FairShare } from '../runtime/fairShare.ts'
import type { ApiLimits } from './limits.ts'
import { ProblemError } from './problem.ts'

/** What a node divides among keys; each is bounded for all of them together. */
export interface Shares {
  /** Reads of lists and counts in hand. */
  readonly reads: FairShare
  readonly streams: FairShare
  readonly waits: FairShare
  /** Bytes of bodies that are still arriving. */
  readonly bodies: FairShare
  /** Bytes of large answers that are not read yet. */
  readonly answers: FairShare
  /** Bulk requests that come compressed. */
  readonly unpackers: FairShare
}

/** Brotli may take 16 MiB for each, whatever it is that is unpacked. */
const unpackersMax = 32

export type ShareName = keyof Shares

export function createShares(limits: ApiLimits): Shares {
  return {
    reads: new FairShare(limits.readsMax),
    streams: new FairShare(limits.streamsMax),
    waits: new FairShare(limits.waitsMax),
    bodies: new FairShare(limits.arrivingBytesMax),
    answers: new FairShare(limits.answersBytesMax),
    unpackers: new FairShare(unpackersMax),
  }
}

const words: Readonly<Record<ShareName, readonly [what: string, setting: string | null, retryAfterS: number]>> = {
  reads: ['reads of lists and counts at once', 'WAYBILL_READS_MAX', 1],
  streams: ['live streams at once', 'WAYBILL_STREAMS_MAX', 2],
  waits: ['requests that wait', 'WAYBILL_WAITS_MAX', 2],
  bodies: ['bytes of bodies that are still arriving', 'WAYBILL_ARRIVING_BYTES_MAX', 1],
  answers: ['bytes of answers that are not read yet', 'WAYBILL_ANSWERS_BYTES_MAX', 1],
  unpackers: ['compressed bulk requests at once', null, 1],
}

/** Why an owner is refused: it has its share of what is all taken, or another owner has a right to what it held. */
export function shareProblem(name: ShareName, share: FairShare, owner: string): ProblemError {
  const [what, setting, retryAfterS] = words[name]
  const detail =
    `The node has no room for more ${what}: ${share.max} is the limit for all${setting === null ? '' : ` (${setting})`}, and this key has its share ` +
    `of them, ${share.of(owner)} (without keys: this address). ${name === 'bodies' ? 'Nothing was written. ' : ''}` +
    'Have fewer in hand at once, or try again later.'
  return new ProblemError({ code: 'overloaded', detail, retryAfterS })
}
