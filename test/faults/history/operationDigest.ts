import { hash } from 'node:crypto'
import { canonicalJson } from '../../../src/operation/canonicalJson.ts'
import { isJsonObject, type JsonObject } from '../../../src/operation/json.ts'

/** Digest of an operation as it is shown, whatever the order of members: of all but `position` and `parked`. */
export function operationDigest(body: JsonObject): string {
  const { position: _position, parked: _parked, ...shown } = body
  return hash('sha256', canonicalJson(shown), 'base64url').slice(0, 22)
}

/** The same of a body in text. Throws when it is no JSON object. */
export function digestOfText(text: string): string {
  const body: unknown = JSON.parse(text)
  if (!isJsonObject(body)) throw new Error('an operation is an object')
  return operationDigest(body)
}
