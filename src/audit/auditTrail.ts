import { randomUUID } from 'node:crypto'
import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { createSlots } from '../eventlog/slots.ts'
import { noHash, type SealedEvent, seal } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { parseMetadata } from '../operation/eventSchemas.ts'
import { isJsonObject } from '../operation/json.ts'
import { auditRequestHash } from '../operation/requestHash.ts'
import { auditStream } from '../operation/streamName.ts'
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
  const oneByOne = createSlots(1)

  async function append(act: Act): Promise<void> {
    for (let conflicts = 0; conflicts <= conflictsMax; conflicts += 1) {
      const [before] = await log.readStream(auditStream, { direction: 'backwards', maxCount: 1 })
      const [outcome] = await log.append([
        { stream: auditStream, expectedRevision: before?.revision ?? 'noStream', events: [sealed(act, before, now())] },
      ])
      if (outcome?.kind === 'appended') return
      if (outcome?.kind !== 'conflict') break
    }
    throw new LogUnavailableError('The act could not be put on record')
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
        for (;;) {
          const events = await log.readStream(auditStream, { fromRevision: nextRevision, maxCount: pageSize })
          for (const event of events) {
            learn(event)
            nextRevision = event.revision + 1n
          }
          if (events.length < pageSize) return { everMade, revoked }
        }
      }),
  }
}

function sealed(act: Act, before: RecordedEvent | undefined, now: string): SealedEvent {
  const { by, request = randomUUID(), traceparent, ...data } = act
  const metadata = before === undefined ? null : parseMetadata(before)
  const text = JSON.stringify({ ...data, by: { key: by.keyId, address: by.address } })
  const revision = (before?.revision ?? -1n) + 1n
  // Each act is one: what is asked for twice was done twice.
  const key = `${request}.${revision}`
  const { event } = seal({
    stream: auditStream,
    revision,
    previousHash: metadata?.hash ?? noHash,
    type: operatorActed,
    data: text,
    dataBytes: Buffer.byteLength(text),
    recorder: {
      key: request,
      requestHash: auditRequestHash(act.action, act.target),
      actor: by.name,
      ...(traceparent === undefined ? null : { traceparent }),
    },
    keyIndex: 0,
    correlation: auditStream,
    causation: request,
    recordedAt: metadata !== null && metadata.recordedAt > now ? metadata.recordedAt : now,
    schemaVersion: auditEventsVersion,
  })
  return { ...event, id: eventId(auditStream, key, 0) }
}
