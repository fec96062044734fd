import type { Command } from '../operation/commands.ts'
import type { Document } from '../operation/document.ts'
import type { CompiledPipeline } from '../operation/pipeline.ts'
import type { OperationState } from '../operation/state.ts'
import type { Lease } from '../runtime/fairShare.ts'
import type { CommandGroup, CommandResult } from './commandService.ts'
import { emptyReceipts, type Receipt, type Receipts, receiptsBytes } from './receipts.ts'
import { roughJsonBytes } from './roughJsonBytes.ts'

/** A command on its way, until it is answered. */
export interface PendingCommand {
  readonly command: Command
  /** Whose share of the queue it uses. */
  readonly owner: string
  readonly group: CommandGroup | undefined
  /** Of the number of commands. */
  readonly lease: Lease
  /** Of their approximate bytes. */
  readonly bytesLease: Lease
  /** Number of this command among all the service took: tells whether a state was read after it came. */
  readonly arrival: number
  /** On the monotonic clock. */
  readonly arrivedMs: number
  readonly resolve: (result: CommandResult) => void
  readonly reject: (bug: unknown) => void
  answered: boolean
  /** How often its expected revision, or that of what it rests on, was lost to another node. */
  conflicts: number
  /** The pipeline it would open its operation with: undefined until asked for, null when there is none. */
  pipeline: CompiledPipeline | null | undefined
  /** What the log itself says of its key: undefined until asked, null when the log holds no event of it. */
  recorded: Receipt | null | undefined
}

/**
 * One operation's commands in order of arrival, and its state as the log confirmed it. It is both the queue and
 * the cache entry, so that a hot command costs one look-up.
 */
export interface StreamQueue {
  readonly operation: string
  readonly stream: string
  waiting: PendingCommand[]
  /**
   * - `unknown`: not read yet, or no longer to be trusted; `state` may be a true but older prefix.
   * - `assumedAbsent`: an open came first; that there is no such operation is for the expected revision to find out.
   * - `confirmed`: the log confirmed `state`, at some time.
   */
  knowledge: 'unknown' | 'assumedAbsent' | 'confirmed'
  state: OperationState | null
  /** Of the operation's last event; 0n while there is none. */
  position: bigint
  receipts: Receipts
  /** Up to where the operation's last snapshot goes, as far as this node knows; -1n: it knows of none. */
  snapshotRevision: bigint
  /** Commands that arrived up to this number came before the log was last asked for this queue's state. */
  confirmedAfter: number
  /** True while a batch that holds a append of it is being confirmed. */
  inFlight: boolean
  /** Questions to the log under way: loading, a pipeline, an old receipt. */
  asking: number
  /** True while it waits for the next batch. */
  isReady: boolean
  bytes: number
  /** What the documents took when they were last walked, and the state's bounds then. */
  readonly documents: { bytes: number; bound: number }
  /** Of the cache: when it was last made its youngest. */
  movedAt: number
}

export function newStreamQueue(operation: string, stream: string): StreamQueue {
  return {
    operation,
    stream,
    waiting: [],
    knowledge: 'unknown',
    state: null,
    position: 0n,
    receipts: emptyReceipts(),
    snapshotRevision: -1n,
    confirmedAfter: 0,
    inFlight: false,
    asking: 0,
    isReady: false,
    bytes: 0,
    documents: { bytes: 0, bound: 0 },
    movedAt: 0,
  }
}

/** Takes a command out that waits, because it has been answered. */
export function dequeue(queue: StreamQueue, pending: PendingCommand): void {
  const at = queue.waiting.indexOf(pending)
  if (at >= 0) queue.waiting.splice(at, 1)
}

/** True when nothing is going on in it: it is a cache entry only and may be dropped. */
export function isIdle(queue: StreamQueue): boolean {
  return queue.waiting.length === 0 && !queue.inFlight && queue.asking === 0
}

/** Forgets the operation: the next command reads its stream from the beginning. */
export function forgetState(queue: StreamQueue): void {
  queue.knowledge = 'unknown'
  queue.state = null
  queue.position = 0n
  queue.receipts = emptyReceipts()
  queue.snapshotRevision = -1n
}

/** A queue with an operation of one track, without documents and receipts; and each further track. */
const queueBytes = 1_200
const trackBytes = 400

/** Events of fewer bytes than this between two looks at the documents are not worth a look. */
const growthBytesMin = 4_096

/**
 * Approximate bytes a queue takes in memory; cheap enough to be asked after every batch. The state's own bounds are far
 * too high for an operation that is patched often. Documents that rest say how long they are; others are walked, but only
 * after events of about their own size have come since the last walk.
 */
export function measureQueue(queue: StreamQueue): number {
  const { state, documents } = queue
  if (state === null) return queueBytes
  const bound = state.dataBytesMax + state.metadataBytesMax
  const growth = bound - documents.bound
  const isResting = state.data.isResting && state.metadata.isResting
  if (isResting || growth < 0 || growth > Math.max(growthBytesMin, documents.bytes)) {
    documents.bound = bound
    documents.bytes = documentBytes(state.data) + documentBytes(state.metadata)
  }
  let held = 0
  for (const report of state.held) held += report.bytes
  const tracks = state.pipeline.tracks.size * trackBytes
  return queueBytes + tracks + documents.bytes + (bound - documents.bound) + 2 * held + receiptsBytes(queue.receipts)
}

function documentBytes(document: Document): number {
  if (!document.isResting) return roughJsonBytes(document.value)
  const { bytes, text } = document
  // V8 keeps a text with one byte for each unit, or with two where a character needs them.
  return bytes === text.length ? bytes : 2 * text.length
}
