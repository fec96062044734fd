import { isUtf8 } from 'node:buffer'
import type { Json } from '../operation/json.ts'

/**
 * `JSON.parse` accepts what it then silently changes: of two members of one name the last wins, `1e400` becomes Infinity,
 * 9007199254740993 becomes ...992, half a surrogate pair cannot be written back as UTF-8, and NUL cannot be stored by
 * PostgreSQL. What is stored must be what was sent, so such documents are refused, as I-JSON (RFC 7493) asks.
 */
export type StrictJsonResult =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly detail: string }

/** Deepest nesting of arrays and objects taken by default; `[[1]]` is 2 deep. */
export const jsonDepthMaxDefault = 32

/** Parses the bytes of one JSON document. The only encoding is UTF-8, without a byte order mark. */
export function parseStrictJson(bytes: Buffer, depthMax = jsonDepthMaxDefault): StrictJsonResult {
  if (!isUtf8(bytes)) return refused('The document is not valid UTF-8.')
  return parseStrictJsonText(bytes.toString('utf8'), depthMax)
}

/**
 * Parses text that was decoded from valid UTF-8. One pass over the text and one over the value that only count: as many
 * members written as parsed means that none is a duplicate, without a set of names per object. Text that holds what
 * may be altered (rare) is looked at a second time.
 */
export function parseStrictJsonText(text: string, depthMax = jsonDepthMaxDefault): StrictJsonResult {
  let value: Json
  try {
    value = JSON.parse(text)
  } catch {
    // V8's message quotes the document; what is in a document is nobody's business but its owner's.
    return refused('The document is not valid JSON.')
  }
  const written = survey(text)
  if (written.depth > depthMax) return refused(`The document is nested more than ${depthMax} deep.`)
  const parsed: Count = { members: 0, proto: false, large: false }
  count(value, parsed)
  if (parsed.proto) return refused('An object has a member named __proto__.')
  if (parsed.members !== written.members) return refused('An object has two members of the same name.')
  if (written.suspicious || parsed.large) {
    const problem = inspect(text)
    if (problem !== null) return refused(problem)
  }
  return { ok: true, value }
}

function refused(detail: string): StrictJsonResult {
  return { ok: false, detail }
}

const quote = 34
const plus = 43
const minus = 45
const colon = 58
const upperE = 69
const openBracket = 91
const backslash = 92
const closeBracket = 93
const lowerE = 101
const lowerU = 117
const openBrace = 123
const closeBrace = 125

interface Survey {
  readonly members: number
  readonly depth: number
  /** Holds a `\u` escape or a negative exponent: something JSON.parse may have altered. */
  readonly suspicious: boolean
}

/** Of a text known to be valid JSON. */
function survey(text: string): Survey {
  const end = text.length
  let members = 0
  let depth = 0
  let deepest = 0
  // Escaped backslashes before a `u` are taken for one as well: such a text is looked at twice, and found to be sound.
  let suspicious = text.includes('\\u')
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfString(text, i)
    } else if (code === colon) {
      members++
    } else if (code === openBrace || code === openBracket) {
      depth++
      if (depth > deepest) deepest = depth
    } else if (code === closeBrace || code === closeBracket) {
      depth--
    } else if ((code === lowerE || code === upperE) && text.charCodeAt(i + 1) === minus) {
      suspicious = true
    }
  }
  return { members, depth: deepest, suspicious }
}

/** The quote that ends the string whose opening quote is at `start`. In half the time of looking at each character. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) return end
  }
}

interface Count {
  members: number
  proto: boolean
  /** Holds a number beyond the integers a double can tell apart. */
  large: boolean
}

/** The depth is known to be small here. */
function count(value: Json, into: Count): void {
  if (typeof value === 'number') {
    if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) into.large = true
  } else if (isArray(value)) {
    for (const item of value) if (typeof item !== 'string') count(item, into)
  } else if (typeof value === 'object' && value !== null) {
    for (const name in value) {
      into.members += 1
      if (name === '__proto__') into.proto = true
      const member = value[name]
      if (member !== undefined && typeof member !== 'string') count(member, into)
    }
  }
}

/** `Array.isArray` does not tell a read-only array from an object. */
const isArray = (value: Json): value is readonly Json[] => Array.isArray(value)

/** The slow look: every string with a `\u` escape, every number. Null: nothing was altered. */
function inspect(text: string): string | null {
  const end = text.length
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      const start = i
      let escaped = false
      for (i++; text.charCodeAt(i) !== quote; i++) {
        if (text.charCodeAt(i) === backslash) {
          i++
          if (text.charCodeAt(i) === lowerU) escaped = true
        }
      }
      const problem = escaped ? stringProblem(JSON.parse(text.slice(start, i + 1))) : null
      if (problem !== null) return problem
    } else if (code === minus || isDigit(code)) {
      const start = i
      while (isNumberPart(text.charCodeAt(i + 1))) i++
      const problem = numberProblem(text.slice(start, i + 1))
      if (problem !== null) return problem
    }
  }
  return null
}

function stringProblem(value: string): string | null {
  if (value.includes('\0')) return 'A string holds the character U+0000.'
  if (/\p{Surrogate}/u.test(value)) return 'A string holds half of a surrogate pair.'
  return null
}

const isDigit = (code: number) => code >= 48 && code <= 57

/** NaN, past the end of the text, is none. */
const isNumberPart = (code: number) =>
  isDigit(code) || code === 46 || code === lowerE || code === upperE || code === plus || code === minus

/** Below it doubles lose digits before they become 0. */
const smallestNormal = 2 ** -1022

/** Every decimal of 15 significant digits survives its way through a double. */
const digitsKept = 15

function numberProblem(literal: string): string | null {
  const value = Math.abs(Number(literal))
  const [mantissa = ''] = literal.split(/[eE]/, 1)
  const digits = mantissa.replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '')
  if (value < smallestNormal) return digits === '' ? null : 'A number is too small to be kept as it is.'
  if (value <= Number.MAX_SAFE_INTEGER) return null
  if (/^-?\d+$/.test(literal)) return 'An integer is beyond 2^53-1: it would be altered. Send it as a string.'
  if (!Number.isFinite(value) || digits.length > digitsKept) return 'A number is too large to be kept as it is.'
  return null
}
