import { isUtf8 } from 'node:buffer'
import type { Json } from '../operation/json.ts'
import { invalidUtf8Offset } from './invalidUtf8.ts'
import { brokenText, firstJsonFault, type JsonFaultKind } from './jsonFault.ts'
import { keepsDigits, significantDigitsMax } from './jsonNumber.ts'
import { jsonPointer } from './jsonPointer.ts'
import {
  closeBrace,
  closeBracket,
  colon,
  endOfNumber,
  endOfString,
  lowerE,
  minus,
  nine,
  openBrace,
  openBracket,
  quote,
  upperE,
} from './jsonScan.ts'
import { syntaxErrorIndex } from './jsonSyntax.ts'
import type { Problem } from './problem.ts'

/**
 * `JSON.parse` accepts what it then silently changes: of two members of one name the last wins, `1e400` becomes Infinity,
 * 9007199254740993 becomes ...992, half a surrogate pair cannot be written back as UTF-8, and NUL cannot be stored by
 * PostgreSQL. What is stored must be what was sent, so such documents are refused, as I-JSON (RFC 7493) asks. The rule for
 * numbers is `keepsDigits`.
 *
 * A problem has a JSON pointer (RFC 6901) to the first place that is refused, or, for what is no JSON at all, an offset
 * in its detail: in bytes from 0, of the document or of the line of a bulk request.
 */
export type StrictJsonResult =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly problem: Problem }

/** Deepest nesting of arrays and objects taken by default; `[[1]]` is 2 deep. */
export const jsonDepthMaxDefault = 32

/** Parses the bytes of one JSON document. The only encoding is UTF-8, without a byte order mark. */
export function parseStrictJson(bytes: Buffer, depthMax = jsonDepthMaxDefault): StrictJsonResult {
  if (!isUtf8(bytes)) return refused(`The document is not valid UTF-8: see offset ${invalidUtf8Offset(bytes)}.`)
  return parseStrictJsonText(bytes.toString('utf8'), depthMax)
}

/**
 * Parses text that was decoded from valid UTF-8. One pass over the text and one over the value that only count: as many
 * members written as parsed means that none is a duplicate, without a set of names per object. Text that is to be refused
 * is looked at once more, for the place. All of it takes time in proportion to the text's length.
 */
export function parseStrictJsonText(text: string, depthMax = jsonDepthMaxDefault): StrictJsonResult {
  let value: Json
  try {
    value = JSON.parse(text)
  } catch {
    return refused(syntaxDetail(text))
  }
  const written = survey(text)
  // Before the value is walked, which is done by recursion.
  if (written.depth > depthMax) return faulty(text, depthMax)
  const parsed: Count = { members: 0, proto: false }
  count(value, parsed)
  if (parsed.proto || written.altersNumber || parsed.members !== written.members) return faulty(text, depthMax)
  if (mayEscapeBrokenText(text) && holdsBrokenText(value)) return faulty(text, depthMax)
  return { ok: true, value }
}

function refused(detail: string): StrictJsonResult {
  return { ok: false, problem: { code: 'invalid', detail } }
}

/** V8's own message quotes the document; what is in a document is nobody's business but its owner's. */
function syntaxDetail(text: string): string {
  const index = syntaxErrorIndex(text)
  const offset = Buffer.byteLength(text.slice(0, index))
  if (index === text.length) return `The document is not valid JSON: it ends too early, at offset ${offset}.`
  if (text.startsWith('\ufeff')) return 'The document is not valid JSON: it has a byte order mark at offset 0.'
  return `The document is not valid JSON: see offset ${offset}.`
}

function faulty(text: string, depthMax: number): StrictJsonResult {
  const fault = firstJsonFault(text, depthMax)
  // Cannot be: each doubt that leads here is one of the finder's kinds.
  if (fault === null) return refused('The document holds what would be altered.')
  const { detail, place } = wordings[fault.kind]
  const { pointer, isWithin } = tellable(fault.path)
  const errors = [{ in: 'body' as const, pointer, detail: isWithin ? `holds a place that ${place}` : place }]
  return {
    ok: false,
    problem: { code: 'invalid', detail: fault.kind === 'depth' ? `${detail} ${depthMax} deep.` : detail, errors },
  }
}

const wordings: Readonly<Record<JsonFaultKind, { readonly detail: string; readonly place: string }>> = {
  duplicate: { detail: 'An object has two members of the same name.', place: 'is there twice' },
  proto: { detail: 'An object has a member named __proto__.', place: 'has a name that is not taken' },
  number: {
    detail: 'A number would not come back with the digits it was sent with. Send it as a string.',
    place: `must be a number that a double (IEEE 754) keeps with all its digits, ${significantDigitsMax} at most`,
  },
  nul: { detail: 'A string holds the character U+0000.', place: 'must not hold U+0000' },
  surrogate: { detail: 'A string holds half of a surrogate pair.', place: 'must not hold half of a surrogate pair' },
  depth: { detail: 'The document is nested more than', place: 'is nested too deep' },
  nul_in_name: { detail: 'The name of a member holds the character U+0000.', place: 'has a name that holds U+0000' },
  surrogate_in_name: {
    detail: 'The name of a member holds half of a surrogate pair.',
    place: 'has a name that holds half of a surrogate pair',
  },
}

/** Names may be as long as a document: a pointer that is longer stops at what it is within. */
const pointerLengthMax = 2_000

function tellable(path: readonly (string | number)[]): { readonly pointer: string; readonly isWithin: boolean } {
  let length = 0
  const steps = path.findIndex((name) => {
    length += String(name).length + 1
    return length > pointerLengthMax
  })
  return steps === -1
    ? { pointer: jsonPointer(path), isWithin: false }
    : { pointer: jsonPointer(path.slice(0, steps)), isWithin: true }
}

interface Survey {
  readonly members: number
  readonly depth: number
  /** Holds a number that a double does not keep. */
  readonly altersNumber: boolean
}

/** No number of so few characters, and without an exponent, is altered: it has 15 digits at most. */
const charactersAlwaysKept = 15

/** Of a text known to be valid JSON. */
function survey(text: string): Survey {
  const end = text.length
  let members = 0
  let depth = 0
  let deepest = 0
  let altersNumber = false
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfString(text, i)
    } else if (code === colon) {
      members++
    } else if (code >= minus && code <= nine) {
      const start = i
      i = endOfNumber(text, i)
      if (i - start >= charactersAlwaysKept || hasExponent(text, start, i)) {
        altersNumber ||= !keepsDigits(text.slice(start, i + 1))
      }
    } else if (code === openBrace || code === openBracket) {
      depth++
      if (depth > deepest) deepest = depth
    } else if (code === closeBrace || code === closeBracket) {
      depth--
    }
  }
  return { members, depth: deepest, altersNumber }
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === lowerE || code === upperE) return true
  }
  return false
}

interface Count {
  members: number
  proto: boolean
}

/** The depth is known to be small here. */
function count(value: Json, into: Count): void {
  if (typeof value !== 'object' || value === null) return
  if (isArray(value)) {
    for (const item of value) if (typeof item === 'object') count(item, into)
    return
  }
  for (const name in value) {
    into.members += 1
    if (name === '__proto__') into.proto = true
    const member = value[name]
    if (typeof member === 'object' && member !== null) count(member, into)
  }
}

/** `Array.isArray` does not tell a read-only array from an object. */
const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)

/**
 * Of valid JSON, only an escape can bring NUL or half a surrogate pair into a string. Escaped backslashes before a `u` are
 * taken for one as well: the strings of such a text are looked at, and found to be sound.
 */
function mayEscapeBrokenText(text: string): boolean {
  return text.includes('\\u') && /\\u(?:0000|[dD][89a-fA-F])/.test(text)
}

function holdsBrokenText(value: Json): boolean {
  if (typeof value === 'string') return brokenText(value) !== null
  if (typeof value !== 'object' || value === null) return false
  if (isArray(value)) return value.some(holdsBrokenText)
  return Object.entries(value).some(([name, member]) => brokenText(name) !== null || holdsBrokenText(member))
}
