import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { lastEvent } from '../eventlog/readStream.ts'
import { type Decided, transact } from '../eventlog/transact.ts'
import { decode, sealNext } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { projectionEventsVersion } from '../operation/eventVersion.ts'
import { projectionRequestHash } from '../operation/requestHash.ts'
import { projectionStream } from '../operation/streamName.ts'
import { createKeyedMutex } from '../runtime/keyedMutex.ts'
import type { Admission } from './admission.ts'
import type { AppendBatcher } from './appendBatcher.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, Intervene, InterveneResult } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import { passCheck, RefusedByCheck } from './refusedByCheck.ts'
import { failureOf, unreadable } from './unreadable.ts'

export interface IntervenerOptions {
  readonly log: EventLog
  /** RFC 3339 UTC. */
  readonly now: () => string
  readonly batcher: AppendBatcher
  readonly admission: Admission
  readonly limits: CommandLimits
  readonly keyReuse: KeyReuse
  readonly reportUnreadable: (stream: string, error: unknown) => void
}

export interface Intervener {
  intervene(command: Intervene): Promise<InterveneResult>
}

/**
 * What operators do to a projection is in the log as well, in a stream of its own: the projection finds it there in order, and
 * a rebuild finds it again. Rare, so as with definitions (definePipeline.ts) each asks the log anew, one after the other.
 */
export function createIntervener(options: IntervenerOptions): Intervener {
  const { log, batcher, admission, limits } = options
  const projections = createKeyedMutex()

  const failed = ({ key }: Intervene, code: CommandFailure['code']): InterveneResult => ({
    kind: 'failed',
    failure: { code, retryAfterS: limits.retryAfterS },
    key,
  })

  async function decide(command: Intervene): Promise<Decided<InterveneResult>> {
    const { projection, event, key, actor, traceparent, check } = command
    const stream = projectionStream(projection)
    const requestHash = projectionRequestHash(event.type, projection, { ...event.data })
    // In this order: what comes after it changes the revision, and EventStoreDB would append an id once more.
    const last = await lastEvent(log, stream)
    const first = await log.readEvent(stream, eventId(stream, key, 0))
    if (first !== null) return { kind: 'nothing', result: receipt(command, first, requestHash) }
    // Whatever comes between this and the append changes the stream's revision: then it is asked again.
    await passCheck(check(last?.position ?? 0n))
    const sealed = unreadable(() =>
      sealNext(stream, last, {
        type: event.type,
        data: event.data,
        recorder: { key, requestHash, actor, ...(traceparent === undefined ? null : { traceparent }) },
        correlation: projection,
        now: options.now(),
        schemaVersion: projectionEventsVersion,
      }),
    )
    return {
      kind: 'append',
      request: { stream, expectedRevision: last?.revision ?? 'noStream', events: [sealed] },
      appended: ({ revision, position }) => ({ kind: 'recorded', revision, position, key }),
    }
  }

  async function carryOut(command: Intervene): Promise<InterveneResult> {
    const append = await transact(batcher.append, limits.conflictsMax, () => decide(command))
    switch (append.kind) {
      case 'done':
        return append.result
      case 'rejected':
        return {
          kind: 'refused',
          refusal: { code: 'invalid', detail: 'It holds a value that the log cannot store' },
          key: command.key,
        }
      case 'failed':
        return failed(command, append.code)
      default:
        return append satisfies never
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
      const leave = admission.enter(command.actor)
      if (leave === null) return failed(command, 'overloaded')
      try {
        return await projections.run(command.projection, () => carryOut(command))
      } catch (error) {
        if (error instanceof RefusedByCheck) throw error.reason
        if (!(error instanceof LogUnavailableError)) {
          options.reportUnreadable(projectionStream(command.projection), error)
        }
        return failed(command, failureOf(error))
      } finally {
        leave()
      }
    },
  }
}
