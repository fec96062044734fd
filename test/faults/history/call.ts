import type { CommandBody } from '../../../src/operation/commands.ts'
import type { Json } from '../../../src/operation/json.ts'

// What clients wrote down, one call a line of NDJSON. Positions are decimal texts: callers' tokens without the log's id.

interface TimedCall {
  /** Who called. One client makes one call after the other. */
  readonly client: string
  /** The node that was asked; null when only an address in front of several is known. */
  readonly node: string | null
  /** Microseconds of the machine's monotonic clock, the same for all its processes. */
  readonly startUs: number
  readonly endUs: number
}

export interface WriteCall extends TimedCall {
  readonly kind: 'open' | 'report' | 'line' | 'define'
  /** `operation-{id}` or `pipeline-{name}`. */
  readonly stream: string
  readonly key: string
  /** The caller named no key: this is the one that the service made and answered. */
  readonly keyGenerated?: true
  /** Digest of what was asked for, as the service makes it (operation/requestHash.ts). */
  readonly requestHash: string
  /** `If-Match`, decimal. */
  readonly expectedRevision?: string
  /** What was asked for; null when it was too large to be kept. */
  readonly body: CommandBody | { readonly type: 'DefinePipeline'; readonly definition: Json } | null
  readonly answer: WriteAnswer
}

export type WriteAnswer = Accepted | Refused | NotTaken | Unknown | Unexpected

/** Also the first receipt again: the caller cannot tell. */
export interface Accepted {
  readonly kind: 'accepted'
  /** `opened`, `applied`, `ignored` or `held`; of a definition `defined` or `unchanged`. */
  readonly outcome: string
  readonly reason?: string
  /** 201 rather than 200. */
  readonly created: boolean
  readonly revision: string
  readonly position: string
}

export interface Refused {
  readonly kind: 'refused'
  readonly code: string
  /** The operation's revision it was refused at; undefined when the answer does not say. */
  readonly revision?: string
}

/** 429, 503 or 424 that promises that nothing was written, or no connection at all. */
export interface NotTaken {
  readonly kind: 'notTaken'
  readonly code: string
}

export interface Unknown {
  readonly kind: 'unknown'
  /** True: 503 `outcome_unknown`, which is said only when nothing can land any more. False: no answer came. */
  readonly settled: boolean
}

/** Nothing the contract knows. */
export interface Unexpected {
  readonly kind: 'unexpected'
  readonly status: number
  readonly text: string
}

/** `min`: with `minPosition`. `strong`: `consistency=strong`. */
export interface Consistency {
  readonly kind: 'plain' | 'min' | 'strong'
  readonly minPosition?: string
}

export interface ReadCall extends TimedCall {
  readonly kind: 'read'
  readonly operation: string
  readonly consistency: Consistency
  readonly answer:
    | ({ readonly kind: 'found'; readonly foldedTo: string } & SeenOperation)
    | Absent
    | NotTaken
    | Unexpected
}

/** 404. */
export interface Absent {
  readonly kind: 'absent'
}

/** An operation as an answer shows it. */
export interface SeenOperation {
  readonly operation: string
  readonly revision: string
  readonly position: string
  /** Of all it shows but its position (`operationDigest`). */
  readonly digest: string
  readonly parked?: boolean
}

/** All operations whose id begins with `idPrefix`. */
export interface ListCall extends TimedCall {
  readonly kind: 'list'
  readonly idPrefix: string
  readonly consistency: Consistency
  readonly answer:
    | {
        readonly kind: 'listed'
        readonly foldedTo: string
        readonly operations: readonly SeenOperation[]
        /** False: there were more than one page holds. */
        readonly complete: boolean
      }
    | NotTaken
    | Unexpected
}

/** A page of the log after a position, or what a live stream sent between two. */
export interface FeedCall extends TimedCall {
  readonly kind: 'feed'
  readonly after: string
  readonly answer:
    | {
        readonly kind: 'events'
        /** Up to where the caller now knows the log. */
        readonly next: string
        readonly events: readonly { readonly position: string; readonly hash: string }[]
      }
    | NotTaken
    | Unexpected
}

export type Call = WriteCall | ReadCall | ListCall | FeedCall

export function isWrite(call: Call): call is WriteCall {
  return call.kind === 'open' || call.kind === 'report' || call.kind === 'line' || call.kind === 'define'
}
