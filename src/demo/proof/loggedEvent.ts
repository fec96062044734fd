import { isObject, type Json, type JsonObject, textOf } from '../json.ts'
import { rawItems, rawMembers } from './rawJson.ts'

/** An event as `/v1/operations/{id}/events` and `/v1/events` answer it. */
export interface LoggedEvent {
  readonly stream: string
  readonly revision: number
  readonly position: string
  readonly type: string
  readonly data: JsonObject
  readonly metadata: JsonObject
  /** The bytes of `data` and `metadata` in the answer: what the hash chain is taken over. */
  readonly dataText: string
  readonly metadataText: string
}

/** Key of the command the event is recorded under. */
export function keyOf(event: LoggedEvent): string {
  return textOf(event.metadata.command)
}

/** Key of the command whose append the event was part of. */
export function causeOf(event: LoggedEvent): string {
  return textOf(event.metadata.$causationId)
}

export interface EventPage {
  readonly events: readonly LoggedEvent[]
}

export function readEventPage(text: string): EventPage {
  const page: Json = JSON.parse(text)
  const rawEvents = rawMembers(text).get('events')
  if (!isObject(page) || !Array.isArray(page.events) || rawEvents === undefined) throw new Error('not a page of events')
  const raw = rawItems(rawEvents)
  const events = page.events.map((event: Json, index): LoggedEvent => {
    if (!isObject(event) || !isObject(event.data) || !isObject(event.metadata)) throw new Error('not an event')
    const members = rawMembers(raw[index] ?? '')
    return {
      stream: textOf(event.stream),
      revision: Number(event.revision),
      position: textOf(event.position),
      type: textOf(event.type),
      data: event.data,
      metadata: event.metadata,
      dataText: members.get('data') ?? '',
      metadataText: members.get('metadata') ?? '',
    }
  })
  return { events }
}
