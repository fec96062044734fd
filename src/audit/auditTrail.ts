import { randomUUID } from 'node:crypto'
import type { AppendOutcome, AppendRequest, EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { lastEvent, streamEvents } from '../eventlog/readStream.ts'
import { transact } from '../eventlog/transact.ts'
import { type SealedEvent, sealNext } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { isJsonObject } from '../operation/json.ts'
import { auditRequestHash } from '../operation/requestHash.ts'
import { auditStream } from '../operation/streamName.ts'
import { createSemaphore } from '../runtime/semaphore.ts'
import { type Act, operatorActed } from './act.ts'

/**
 * What operators did, as events of the log in a stream of its own: sealed and chained as all events are
 * (docs/adr/0015-audit-trail.md). Acts are rare, so each asks the log for the stream's end.
 */
export interface AuditTrail {
  /**
   * Resolves once it is on record. Throws LogUnavailableError when it is not, or when that is not known: then the act must
   * not be done.
   */
  record(act: Act): Promise<void>
  /** All that the log says of keys by now; reads on from where the last call ended. Throws LogUnavailableError. */
  keys(): Promise<KeysOnRecord>
}

export interface KeysOnRecord {
  /** Whether the log says that there has ever been a key. */
  readonly everMade: boolean
  /** Ids of the keys that it says were revoked. */
  readonly revoked: ReadonlySet<string>
}

/** How often an act may lose the stream's end to another node's. */
const conflictsMax = 20
const pageSize = 1_000
/** The version of the catalogue (operation/eventVersion.ts) at which the stream began; older nodes pass it by. */
const auditEventsVersion = 3

export function createAuditTrail(options: { readonly log: EventLog; readonly now: () => string }): AuditTrail {
  const { log, now } = options
  const revoked = new Set<string>()
  let everMade = false
  let nextRevision = 0n
  /** One after the other: the log takes one append of a stream at a time. */
  const oneByOne = createSemaphore(1)

  async function append(act: Act): Promise<void> {
    const { kind } = await transact(appendOne, conflictsMax, async () => {
      const last = await lastEvent(log, auditStream)
      const request = { stream: auditStream, expectedRevision: last?.revision ?? ('noStream' as const) }
      return {
        kind: 'append',
        request: { ...request, events: [sealAct(act, last, now())] },
        appended: () => undefined,
      }
    })
    if (kind !== 'done') throw new LogUnavailableError('The act could not be put on record')
  }

  async function appendOne(request: AppendRequest): Promise<AppendOutcome> {
    const [outcome] = await log.append([request])
    return outcome ?? { kind: 'unknown' }
  }

  function learn({ type, data }: RecordedEvent): void {
    if (type !== operatorActed) return
    const act: unknown = JSON.parse(data)
    if (!isJsonObject(act)) return
    const { action, key } = act
    if (action === 'keys.create' || action === 'keys.found') everMade = true
    if (action === 'keys.revoke' && typeof key === 'string') revoked.add(key)
  }

  return {
    record: (act) => oneByOne.run(() => append(act)),
    keys: () =>
      oneByOne.run(async () => {
        for await (const event of streamEvents(log, auditStream, { fromRevision: nextRevision, pageSize })) {
          learn(event)
          nextRevision = event.revision + 1n
        }
        return { everMade, revoked }
      }),
  }
}

function sealAct(act: Act, last: RecordedEvent | null, now: string): SealedEvent {
  const { by, request = randomUUID(), traceparent, ...data } = act
  const event = sealNext(auditStream, last, {
    type: operatorActed,
    data: { ...data, by: { key: by.keyId, address: by.address } },
    recorder: {
      key: request,
      requestHash: auditRequestHash(act.action, act.target),
      actor: by.name,
      ...(traceparent === undefined ? null : { traceparent }),
    },
    correlation: auditStream,
    now,
    schemaVersion: auditEventsVersion,
  })
  // Each act is one: what is asked for twice was done twice.
  const revision = last === null ? 0n : last.revision + 1n
  return { ...event, id: eventId(auditStream, `${request}.${revision}`, 0) }
}
