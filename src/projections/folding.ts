import type { RecordedEvent } from '../eventlog/eventLog.ts'
import { decode } from '../operation/envelope.ts'
import { MalformedEventError, NewerSchemaError } from '../operation/eventSchemas.ts'
import type { PipelineDefined } from '../operation/events.ts'
import { decodeOperationEvent, foldNext } from '../operation/fold.ts'
import type { OperationState } from '../operation/state.ts'
import { streamSubject } from '../operation/streamName.ts'
import type { Batch, ParkWrite, StreamRefold, Write } from './batch.ts'
import { anyTrack, type CountedStatuses, statusSetBy } from './countedStatuses.ts'
import { operationWrite } from './operationWrite.ts'
import type { Intervention } from './parking/interventions.ts'
import type { ParkedStreams } from './parking/parkedStreams.ts'
import { parkReason, RefusedByDatabaseError } from './parking/parkReason.ts'
import type { Skips } from './parking/skips.ts'
import type { ProjectedPipelines } from './projectedPipelines.ts'
import { type Shapes, shapeOfStatus } from './shape.ts'
import { estimatedBytes, type FoldedOperation, type StateCache } from './stateCache.ts'

/** An operation as its row has it. */
export interface LoadedOperation {
  readonly state: OperationState
  /** Length of its documents' JSON text. */
  readonly dataLength: number
  readonly metadataLength: number
}

/** An operation's state as the log confirmed it to this node, perhaps further on than what is folded; null: not at hand. */
export type ConfirmedState = (operation: string) => OperationState | null

interface Touched {
  readonly stream: string
  readonly before: FoldedOperation | null
  state: OperationState
  position: bigint
  /** Length of its documents' JSON text, roughly: what an event adds to a document counts in full. */
  units: number
}

/** All names in streams are printable ASCII; a line break would tear the batch's columns apart. */
export const unprintable = /[^\x21-\x7e]/

/**
 * Folds a batch of events in memory. No I/O: the caller hands in the operations that `missing` asks for, and writes what
 * `finish` gives. What cannot be folded sets its stream aside and nothing else.
 */
export class Folding {
  readonly #states: StateCache
  readonly #pipelines: ProjectedPipelines
  readonly #parked: ParkedStreams
  /** Streams the database refused, with the reason: parked at their next event. */
  readonly #rejected: ReadonlyMap<string, string>
  readonly #shapes: Shapes
  readonly #counted: CountedStatuses
  readonly #skips: Skips
  readonly #from: bigint
  readonly #touched = new Map<string, Touched>()
  #touchedUnits = 0
  /** By stream: its state after its last event of this batch, as somebody else had folded it already. */
  readonly #recognised = new Map<string, OperationState>()
  #writes: Write[] = []
  #refolds: StreamRefold[] = []
  #to: bigint
  #events = 0

  constructor(
    from: bigint,
    parts: {
      readonly states: StateCache
      readonly pipelines: ProjectedPipelines
      readonly parked: ParkedStreams
      readonly rejected: ReadonlyMap<string, string>
      readonly shapes: Shapes
      readonly counted: CountedStatuses
      readonly skips: Skips
    },
  ) {
    this.#from = from
    this.#to = from
    this.#states = parts.states
    this.#pipelines = parts.pipelines
    this.#parked = parts.parked
    this.#rejected = parts.rejected
    this.#shapes = parts.shapes
    this.#counted = parts.counted
    this.#skips = parts.skips
  }

  /** The operations whose state the events build on and that are not in memory. */
  missing(events: readonly RecordedEvent[]): readonly string[] {
    const ids = new Set<string>()
    const seen = new Set<string>()
    for (const { stream, revision } of events) {
      if (seen.has(stream)) continue
      seen.add(stream)
      if (revision === 0n || this.#parked.has(stream) || this.#touched.has(stream)) continue
      const subject = streamSubject(stream)
      if (subject?.kind === 'operation' && this.#states.get(subject.name) === undefined) ids.add(subject.name)
    }
    return [...ids]
  }

  /** An operation as its row has it. */
  admit({ state, dataLength, metadataLength }: LoadedOperation): void {
    this.#states.set(state.id, { state, shape: this.#shapes.of(state), dataLength, metadataLength })
  }

  /**
   * Looks for the operations' states after these events among those that this node's command service has folded already. The
   * hash of a stream's last event stands for all of the stream, so a state that carries it is the fold of just these
   * events, and they need not be parsed and folded a second time (half of the projector's time, measured).
   */
  recognise(events: readonly RecordedEvent[], confirmed: ConfirmedState): void {
    const last = new Map<string, RecordedEvent>()
    for (const event of events) last.set(event.stream, event)
    for (const [stream, { revision, metadata }] of last) {
      const subject = streamSubject(stream)
      // The command service knows of no skips.
      if (subject?.kind !== 'operation' || this.#skips.concern(stream)) continue
      const state = confirmed(subject.name)
      if (state === null || state.revision !== revision) continue
      if (metadata.endsWith(`"hash":"${state.lastHash}"}`)) this.#recognised.set(stream, state)
    }
  }

  /**
   * Folds the next event. Throws NewerSchemaError, and then has not gone past the event; on any other failure the stream
   * is parked. `unfoldable`: why it cannot be folded, where that is known already.
   */
  fold(event: RecordedEvent, unfoldable?: unknown): void {
    const { stream, position } = event
    if (position <= this.#to) return
    if (!this.#parked.has(stream)) {
      if (unfoldable === undefined) this.#foldOrPark(event)
      else this.park(event, unfoldable)
    }
    this.#to = position
    this.#events += 1
  }

  /**
   * The batch ends here, before the last event of some recognised streams: of those, the events that were passed over are
   * folded after all. `events` are all that the batch has gone past.
   */
  endEarly(events: readonly RecordedEvent[]): void {
    for (const stream of this.#touched.keys()) this.#recognised.delete(stream)
    const passedOver = new Set(this.#recognised.keys())
    this.#recognised.clear()
    for (const event of events) {
      if (passedOver.has(event.stream) && !this.#parked.has(event.stream)) this.#foldOrPark(event)
    }
  }

  /**
   * Makes the rows of up to `countMax` operations; the states they hold count as folded from now on. False when all are
   * made. Apart from `fold`, as an operation is written once however many events it got.
   */
  settle(countMax: number): boolean {
    let count = 0
    for (const [key, { stream, before, state, position, units }] of this.#touched) {
      if (count === countMax) return true
      count += 1
      this.#touched.delete(key)
      this.#touchedUnits -= units
      const shape = this.#shapes.of(state)
      const write = operationWrite({ stream, before, state, position, shape })
      this.#writes.push(write)
      const dataLength = write.data?.length ?? before?.dataLength ?? 0
      const metadataLength = write.metadata?.length ?? before?.metadataLength ?? 0
      this.#states.set(state.id, { state, shape, dataLength, metadataLength })
    }
    return false
  }

  /** Events gone past so far. */
  get events(): number {
    return this.#events
  }

  /** What the operations take whose rows `settle` has not made yet, in bytes, by estimate. */
  get unsettledBytes(): number {
    return estimatedBytes(this.#touched.size, this.#touchedUnits)
  }

  /** All that was folded. */
  finish(): Batch {
    this.settle(Number.POSITIVE_INFINITY)
    this.#states.trim()
    return { writes: this.#writes, from: this.#from, to: this.#to, events: this.#events, refolds: this.#refolds }
  }

  /** Whether the rest of the stream's events in this batch is known from its state, and not read. */
  recognises(stream: string): boolean {
    return this.#recognised.has(stream)
  }

  // What parking/refoldStream.ts folds again, in the midst of the batch.

  /** Folded up to here. */
  get to(): bigint {
    return this.#to
  }

  parkedAt(stream: string): bigint | undefined {
    return this.#parked.revisionOf(stream)
  }

  /** Otherwise `stateOf` is only right once its row was loaded and admitted. */
  knows(operation: string, stream: string): boolean {
    return this.#touched.has(stream) || this.#states.get(operation) !== undefined
  }

  stateOf(operation: string, stream: string): OperationState | null {
    return this.#touched.get(stream)?.state ?? this.#states.get(operation)?.state ?? null
  }

  /** The stream is parked no more. */
  reopen(stream: string): void {
    this.#recognised.delete(stream)
    this.#parked.unpark(stream)
    this.#writes = this.#writes.filter((write) => write.kind !== 'park' || write.stream !== stream)
  }

  /** The operation's state is this one, whatever was folded before. */
  replace(operation: string, stream: string, { state, position }: Pick<Touched, 'state' | 'position'>): void {
    const touched = this.#touched.get(stream)
    const before = touched?.before ?? this.#states.get(operation) ?? null
    for (const { status } of state.pipeline.any ? Object.values(state.tracks) : []) this.#see(stream, status)
    this.#touch(touched, { stream, before, state, position, units: touched?.units ?? unitsOf(before) })
  }

  /** Folds an event of a stream that was opened again. Throws what keeps it from being folded. */
  foldAgain(event: RecordedEvent): void {
    this.#foldInto(event)
  }

  /** To be said of each intervention, whether or not it changed anything: the rows hold where it was. */
  refolded({ stream, position }: Intervention): void {
    const subject = streamSubject(stream)
    const operation = subject?.kind === 'operation' ? subject.name : null
    this.#refolds = this.#refolds.filter((refold) => refold.stream !== stream)
    const unparked = !this.#parked.has(stream)
    this.#refolds.push({ stream, operation, position, unparked })
  }

  #foldOrPark(event: RecordedEvent): void {
    try {
      this.#foldInto(event)
    } catch (error) {
      if (error instanceof NewerSchemaError) throw error
      this.park(event, error)
    }
  }

  #foldInto(event: RecordedEvent): void {
    const subject = streamSubject(event.stream)
    // Streams of other kinds, and names that no command could have given, are none of this projection's business.
    if (subject === null || unprintable.test(subject.name)) return
    const rejected = this.#rejected.get(event.stream)
    if (rejected !== undefined) throw new RefusedByDatabaseError(rejected)
    const recognised = this.#recognised.get(event.stream)
    if (recognised !== undefined) {
      if (recognised.pipeline.any && event.type === 'StatusChanged' && !this.#counted.isFull) {
        const isLast = event.revision === recognised.revision
        const set = isLast ? (recognised.tracks[anyTrack]?.status ?? null) : statusSetBy(event.data)
        this.#see(event.stream, set)
      }
      const before = this.#states.get(subject.name) ?? null
      if (event.revision !== recognised.revision || (before?.state.revision ?? -1n) >= event.revision) return
      const { stream, position, data } = event
      const units = unitsOf(before) + data.length
      this.#touch(this.#touched.get(stream), { stream, before, state: recognised, position, units })
      return
    }
    if (subject.kind === 'pipeline') {
      const decoded = decode(event)
      if (decoded.type !== 'PipelineDefined') throw new MalformedEventError(`${decoded.type} in a pipeline's stream`)
      this.#define(event.stream, subject.name, decoded.data, decoded.meta.recordedAt)
      return
    }
    const decoded = decodeOperationEvent(event)
    const touched = this.#touched.get(event.stream)
    const before = touched?.before ?? this.#states.get(subject.name) ?? null
    const current = touched?.state ?? before?.state ?? null
    if (current !== null && event.revision <= current.revision) return
    const state = foldNext(current, decoded, this.#pipelines.pipelineOf)
    if (state.pipeline.any && decoded.type === 'StatusChanged') this.#see(event.stream, decoded.data.to)
    // Most reports bring a document that takes the place of the one before: nothing piles up then.
    const isReplaced = decoded.data.data !== undefined && state.data.is(decoded.data.data)
    const units = (isReplaced ? (before?.metadataLength ?? 0) : (touched?.units ?? unitsOf(before))) + event.data.length
    this.#touch(touched, { stream: event.stream, before, state, position: event.position, units })
  }

  /** At the event that sets it: a batch shows only how its operations stand at its end, and others are cut otherwise. */
  #see(stream: string, status: string | null): void {
    if (status !== null && this.#counted.see(status)) {
      this.#writes.push({ kind: 'shape', stream, shape: shapeOfStatus(status) })
    }
  }

  /** `known`: what this batch has of the stream so far. */
  #touch(known: Touched | undefined, touched: Touched): void {
    this.#touchedUnits += touched.units - (known?.units ?? 0)
    this.#touched.set(touched.stream, touched)
  }

  #define(stream: string, name: string, defined: PipelineDefined, definedAt: string): void {
    const { version, definition } = defined
    if (this.#pipelines.has(name, version)) throw new MalformedEventError(`version ${version} is defined twice`)
    this.#pipelines.define(name, defined)
    this.#writes.push({ kind: 'pipeline', stream, name, version, definition, definedAt })
  }

  park({ stream, revision, position }: RecordedEvent, error: unknown): void {
    const { reason, detail } = parkReason(error)
    this.#parked.park({ stream, revision, reason })
    const park: ParkWrite = { kind: 'park', stream, revision, position, reason, detail }
    this.#writes.push(park)
  }
}

function unitsOf(before: FoldedOperation | null): number {
  return before === null ? 0 : before.dataLength + before.metadataLength
}
