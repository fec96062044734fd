import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { decode, noHash, type SealedEvent, seal } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { projectionEventsVersion } from '../operation/eventVersion.ts'
import { projectionRequestHash } from '../operation/requestHash.ts'
import { projectionStream } from '../operation/streamName.ts'
import type { Batches } from './batches.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, Intervene, InterveneResult } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import type { TicketDesk } from './ticketDesk.ts'
import { createTurns } from './turns.ts'
import { failureOf, unreadable } from './unreadable.ts'

export interface IntervenerOptions {
  readonly log: EventLog
  /** RFC 3339 UTC. */
  readonly now: () => string
  readonly batches: Batches
  readonly desk: TicketDesk
  readonly limits: CommandLimits
  readonly keyReuse: KeyReuse
  readonly reportUnreadable: (stream: string, error: unknown) => void
}

export interface Intervener {
  intervene(command: Intervene): Promise<InterveneResult>
}

/** What `check` throws is the caller's own, and passed on to it. */
class RefusedByCheck {
  readonly reason: unknown

  constructor(reason: unknown) {
    this.reason = reason
  }
}

/**
 * What operators do to a projection is in the log as well, in a stream of its own: the projection finds it there in order, and
 * a rebuild finds it again. Rare, so as with definitions (definePipeline.ts) each asks the log anew, in turn.
 */
export function createIntervener(options: IntervenerOptions): Intervener {
  const { log, batches, desk, limits } = options
  const turns = createTurns()

  const failed = ({ key }: Intervene, code: CommandFailure['code']): InterveneResult => ({
    kind: 'failed',
    failure: { code, retryAfterS: limits.retryAfterS },
    key,
  })

  async function inTurn(command: Intervene): Promise<InterveneResult> {
    for (let conflicts = 0; conflicts <= limits.conflictsMax; conflicts += 1) {
      const result = await attempt(command)
      if (result !== 'again') return result
    }
    return failed(command, 'contention')
  }

  async function attempt(command: Intervene): Promise<InterveneResult | 'again'> {
    const { projection, event, key, check } = command
    const stream = projectionStream(projection)
    const requestHash = projectionRequestHash(event.type, projection, { ...event.data })
    // In this order: what comes after it changes the revision, and EventStoreDB would append an id once more.
    const [last] = await log.readStream(stream, { direction: 'backwards', maxCount: 1 })
    const first = await log.readEvent(stream, eventId(stream, key, 0))
    if (first !== null) return receipt(command, first, requestHash)
    // Whatever comes between this and the append changes the stream's revision: then it is asked again.
    await check(last?.position ?? 0n).catch((reason: unknown) => {
      throw new RefusedByCheck(reason)
    })
    const sealedEvent = sealed(command, requestHash, last, options.now())
    const outcome = await batches.append({
      stream,
      expectedRevision: last?.revision ?? 'noStream',
      events: [sealedEvent],
    })
    switch (outcome.kind) {
      case 'appended':
        return { kind: 'recorded', revision: outcome.revision, position: outcome.position, key }
      case 'conflict':
      case 'duplicate':
      case 'untried':
        return 'again'
      case 'rejected':
        return {
          kind: 'refused',
          refusal: { code: 'invalid', detail: 'It holds a value that the log cannot store' },
          key,
        }
      case 'unavailable':
        return failed(command, 'log_unavailable')
      case 'unknown':
        return failed(command, 'outcome_unknown')
      default:
        return outcome satisfies never
    }
  }

  function receipt({ key, actor }: Intervene, first: RecordedEvent, requestHash: string): InterveneResult {
    const { revision, position } = first
    const { metadata } = unreadable(() => decode(first))
    if (metadata.requestHash === requestHash) {
      return { kind: 'recorded', revision, position, key }
    }
    return { kind: 'refused', refusal: options.keyReuse.refusal('projection', actor, metadata.actor), key }
  }

  return {
    async intervene(command) {
      if (!desk.enter()) return failed(command, 'overloaded')
      try {
        return await turns.take(command.projection, () => inTurn(command))
      } catch (error) {
        if (error instanceof RefusedByCheck) throw error.reason
        if (!(error instanceof LogUnavailableError)) {
          options.reportUnreadable(projectionStream(command.projection), error)
        }
        return failed(command, failureOf(error))
      } finally {
        desk.leave()
      }
    },
  }
}

function sealed(command: Intervene, requestHash: string, last: RecordedEvent | undefined, now: string): SealedEvent {
  const { projection, key, actor, traceparent } = command
  const before = last === undefined ? null : unreadable(() => decode(last)).metadata
  const data = JSON.stringify(command.event.data)
  const { event } = seal({
    stream: projectionStream(projection),
    revision: (last?.revision ?? -1n) + 1n,
    previousHash: before?.hash ?? noHash,
    type: command.event.type,
    data,
    dataBytes: Buffer.byteLength(data),
    recorder: { key, requestHash, actor, ...(traceparent === undefined ? null : { traceparent }) },
    keyIndex: 0,
    correlation: projection,
    causation: key,
    recordedAt: before !== null && before.recordedAt > now ? before.recordedAt : now,
    schemaVersion: projectionEventsVersion,
  })
  return event
}
