import type { HttpClient } from './httpClient.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

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
