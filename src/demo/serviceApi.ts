import type { HttpClient } from './httpClient.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { type EventPage, readEventPage } from './proof/loggedEvent.ts'

/** A request that must succeed: anything but 200 or 201 is an error that names the call and the answer. */
export async function mustGet(client: HttpClient, path: string): Promise<string> {
  const answer = await client.call({ method: 'GET', path })
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text.slice(0, 300)}`)
  return answer.text
}

export async function getJson(client: HttpClient, path: string): Promise<JsonObject> {
  const body: Json = JSON.parse(await mustGet(client, path))
  if (!isObject(body)) throw new Error(`GET ${path}: not an object`)
  return body
}

export async function definePipeline(client: HttpClient, name: string, definition: JsonObject): Promise<void> {
  const path = `/v1/pipelines/${name}`
  const answer = await client.call({ method: 'PUT', path, body: JSON.stringify(definition) })
  if (answer.status !== 200 && answer.status !== 201) {
    throw new Error(`PUT ${path}: ${answer.status} ${answer.text.slice(0, 500)}`)
  }
}

export async function eventsAfter(client: HttpClient, after: string, pageSize: number): Promise<EventPage> {
  return readEventPage(await mustGet(client, `/v1/events?pageSize=${pageSize}&after=${encodeURIComponent(after)}`))
}
