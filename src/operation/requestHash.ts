import { addCanonicalJson } from './canonicalJson.ts'
import type { CommandBody } from './commands.ts'
import { HashInput } from './hashInput.ts'
import type { Json } from './json.ts'

/**
 * SHA-256, base64url, over what a command asks for: two commands of one key are the same request when theirs are equal.
 * Members' order does not matter (RFC 8785), the expected revision does. `expectedRevision` undefined: any.
 */
export function requestHash(operation: string, expectedRevision: bigint | undefined, body: CommandBody): string {
  return digest(body.type, operation, expectedRevision, body)
}

/** The same for the definition of a pipeline, as it was sent. */
export function definitionRequestHash(name: string, expectedRevision: bigint | undefined, definition: Json): string {
  return digest('DefinePipeline', name, expectedRevision, definition)
}

/** The same for what an operator does to a projection. */
export function projectionRequestHash(type: string, projection: string, body: Json): string {
  return digest(type, projection, undefined, body)
}

/** The same for an operator's act, as it is put on record. */
export function auditRequestHash(action: string, target: string): string {
  return digest(action, target, undefined, undefined)
}

/** The same for the name of a new pipeline, as it is registered. */
export function registrationRequestHash(name: string): string {
  return digest('RegisterPipeline', name, undefined, undefined)
}

const input = new HashInput()

/** `asked`: JSON; undefined: nothing more than the type says. */
function digest(type: string, subject: string, expectedRevision: bigint | undefined, asked: unknown): string {
  // Type, subject and revision have no line breaks, so the parts cannot run into one another.
  input.begin().addShort(type).addShort('\n').addShort(subject).addShort('\n')
  if (expectedRevision !== undefined) input.addShort(expectedRevision.toString())
  input.addShort('\n')
  if (asked !== undefined) addCanonicalJson(input, asked)
  return input.digest('base64url')
}
