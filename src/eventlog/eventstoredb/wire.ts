import { randomUUID } from 'node:crypto'
import type { EventToAppend, RecordedEvent } from '../eventLog.ts'
import type { EventToStore, StoredEvent } from './client.ts'

/**
 * What of an event goes where in the store.
 *
 * The store takes an append for one it has already when the events at its revisions have the same ids: it answers with
 * success and writes nothing. Two nodes given the same command append the same ids, but events that were recorded by another
 * and at another time; taken for its own, they would leave the slower node with a state, and a hash to chain the next event
 * to, that the log does not have. So the store gets an id of its own for each append: success means that this append was
 * written, and it can be sent again until it is answered. The event's id stands in front of its metadata, which stays
 * readable for the store's tools ($correlationId, $causationId) and comes back byte for byte.
 */
export function toStored({ id, type, data, metadata }: EventToAppend): EventToStore {
  return { id: randomUUID(), type, data, metadata: wrap(id, metadata) }
}

export function fromStored({ stream, revision, position, id, type, data, metadata }: StoredEvent): RecordedEvent {
  const own = unwrap(metadata)
  // Whoever else wrote it: it is shown as it is.
  return { stream, revision, position, id: own?.id ?? id, type, data, metadata: own?.metadata ?? metadata }
}

const idMember = '{"waybillId":"'
const idEnd = idMember.length + 36
const restAt = idEnd + 2
/** For metadata that is no object with a first member to go on with. */
const wholeMember = '"waybillMetadata":'

function wrap(id: string, metadata: string): string {
  const members = metadata.startsWith('{"') && !metadata.startsWith(wholeMember, 1)
  return `${idMember}${id}",${members ? metadata.slice(1) : `${wholeMember}${metadata}}`}`
}

function unwrap(stored: string): { readonly id: string; readonly metadata: string } | null {
  if (!stored.startsWith(idMember) || !stored.startsWith('",', idEnd)) return null
  const id = stored.slice(idMember.length, idEnd)
  const whole = stored.startsWith(wholeMember, restAt)
  return { id, metadata: whole ? stored.slice(restAt + wholeMember.length, -1) : `{${stored.slice(restAt)}` }
}
