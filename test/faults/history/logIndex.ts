import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { receiptOutcome } from '../../../src/operation/decision.ts'
import { type DecodedEvent, decode } from '../../../src/operation/envelope.ts'
import { isOperationEvent } from '../../../src/operation/eventSchemas.ts'
import type { OperationEvent } from '../../../src/operation/events.ts'
import { pipelinesStream } from '../../../src/operation/streamName.ts'
import { verifyStream } from '../../../src/operation/verifyStream.ts'
import { checkRegistrations } from './checkRegistrations.ts'
import type { Faults } from './faults.ts'
import type { RecordedLog } from './recordedLog.ts'

export interface LoggedEvent extends RecordedEvent {
  readonly decoded: DecodedEvent
}

/** The events of one command, appended together. */
export interface Append {
  readonly stream: string
  readonly key: string
  readonly requestHash: string
  /** At least one, the first of them the command's own. */
  readonly events: LoggedEvent[]
}

export interface LoggedStream {
  readonly name: string
  /** In order of position. */
  readonly events: readonly RecordedEvent[]
  /** Up to the first event that cannot be read. */
  readonly appends: readonly Append[]
  readonly byKey: ReadonlyMap<string, readonly Append[]>
}

/** The log by stream, command and revision. */
export interface LogIndex {
  readonly streams: ReadonlyMap<string, LoggedStream>
  readonly events: readonly RecordedEvent[]
  readonly head: bigint
}

/** Sorts the log into streams and appends; finds what is wrong with the log whoever wrote it. */
export function indexLog(log: RecordedLog, faults: Faults): LogIndex {
  checkPositions(log, faults)
  const byStream = new Map<string, RecordedEvent[]>()
  for (const event of log.events) {
    const stream = byStream.get(event.stream)
    if (stream === undefined) byStream.set(event.stream, [event])
    else stream.push(event)
  }
  const streams = new Map<string, LoggedStream>()
  for (const [name, events] of byStream) {
    checkStream(name, events, faults)
    // No command of its own: part of a definition.
    const appends = name === pipelinesStream ? [] : appendsOf(name, events, faults)
    const byKey = new Map<string, Append[]>()
    for (const append of appends) {
      const earlier = byKey.get(append.key)
      if (earlier === undefined) byKey.set(append.key, [append])
      else earlier.push(append)
    }
    streams.set(name, { name, events, appends, byKey })
  }
  checkRegistrations(byStream, faults)
  return { streams, events: log.events, head: log.head }
}

function checkPositions({ events, head, positionsWithoutGap }: RecordedLog, faults: Faults): void {
  let before = 0n
  for (const event of events) {
    const { position, stream } = event
    if (position <= before) {
      faults.add('position_order', stream, `position ${position} comes after ${before}`, { events: [event] })
    } else if (positionsWithoutGap && position !== before + 1n) {
      faults.add('position_order', stream, `nothing between positions ${before} and ${position}`, { events: [event] })
    }
    before = position
  }
  const ends = positionsWithoutGap ? head === before : head >= before
  if (!ends) faults.add('position_order', null, `the log says it ends at ${head}, and its last event is at ${before}`)
}

function checkStream(name: string, events: readonly RecordedEvent[], faults: Faults): void {
  for (const [index, event] of events.entries()) {
    if (event.revision === BigInt(index)) continue
    faults.add('revision_gap', name, `revision ${event.revision} where ${index} should be`, { events: [event] })
    break
  }
  const verified = verifyStream(events)
  if (verified.kind === 'intact') return
  const broken = events.filter(({ revision }) => revision === verified.revision)
  faults.add('broken_chain', name, `revision ${verified.revision}: ${verified.reason}`, { events: broken })
}

function appendsOf(stream: string, events: readonly RecordedEvent[], faults: Faults): Append[] {
  const appends: Append[] = []
  let current: Append | null = null
  for (const event of events) {
    let decoded: DecodedEvent
    try {
      decoded = decode(event)
    } catch (error) {
      faults.add('malformed_event', stream, error instanceof Error ? error.message : String(error), { events: [event] })
      return appends
    }
    const logged = { ...event, decoded }
    const { command, requestHash, $causationId: key } = decoded.metadata
    if (current === null || current.key !== key || (command === key && hasReport(current))) {
      if (command !== key) {
        faults.add('wrong_transition', stream, `an append under ${key} begins with an event under ${command}`, {
          events: [event],
        })
        return appends
      }
      current = { stream, key, requestHash, events: [logged] }
      appends.push(current)
    } else {
      current.events.push(logged)
    }
  }
  return appends
}

/** One command makes one event of its own, or two, the first of which opens the operation. */
function hasReport({ key, events }: Append): boolean {
  return events.some(({ type, decoded }) => decoded.metadata.command === key && type !== 'OperationOpened')
}

/** What the command was to be answered. */
export interface LoggedReceipt {
  readonly outcome: string
  readonly reason: string | undefined
  readonly created: boolean
  readonly revision: bigint
  readonly position: bigint
}

export function receiptOf(append: Append): LoggedReceipt {
  const last = append.events.at(-1)
  if (last === undefined) throw new Error('an append has events')
  const { revision, position } = last
  if (last.decoded.type === 'PipelineDefined') {
    const created = last.decoded.data.version === 1
    return { outcome: 'defined', reason: undefined, created, revision, position }
  }
  const own: OperationEvent[] = []
  for (const { decoded } of append.events) {
    if (isOperationEvent(decoded) && decoded.metadata.command === append.key) own.push(decoded)
  }
  const { outcome, reason, opened } = receiptOutcome(own)
  return { outcome, reason, created: opened, revision, position }
}
