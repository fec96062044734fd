import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  isDigit,
  isSpace,
  lowerE,
  lowerU,
  minus,
  openBrace,
  openBracket,
  plus,
  point,
  quote,
  upperE,
  zero,
} from './jsonScan.ts'

/**
 * Index of the first character with which a text ceases to be the beginning of a JSON document (RFC 8259); its length when
 * the text is such a beginning, and something is missing. Only for text that `JSON.parse` refused: V8 names a position
 * in some of its messages, in other words in each version, and quotes the document. One pass, and no recursion: text that
 * is no JSON may be nested as deep as it is long.
 */
export function syntaxErrorIndex(text: string): number {
  /** What closes each array and object that is open. */
  const closers: number[] = []
  let expected: 'value' | 'value or end' | 'name' | 'name or end' | 'colon' | 'comma or end' = 'value'
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isSpace(code)) continue
    const closer = closers.at(-1)
    if (code === closer && (expected === 'value or end' || expected === 'name or end' || expected === 'comma or end')) {
      closers.pop()
      expected = 'comma or end'
    } else if (expected === 'colon') {
      if (code !== colon) return at
      expected = 'value'
    } else if (expected === 'comma or end') {
      if (code !== comma || closer === undefined) return at
      expected = closer === closeBrace ? 'name' : 'value'
    } else if (expected === 'name' || expected === 'name or end') {
      if (code !== quote) return at
      const token = readString(text, at)
      if (!token.ok) return token.at
      at = token.at
      expected = 'colon'
    } else if (code === openBrace || code === openBracket) {
      closers.push(code === openBrace ? closeBrace : closeBracket)
      expected = code === openBrace ? 'name or end' : 'value or end'
    } else {
      const token = readScalar(text, at)
      if (!token.ok) return token.at
      at = token.at
      expected = 'comma or end'
    }
  }
  return text.length
}

/** `at`: the last character of what was read, or the one that is wrong. */
interface Token {
  readonly ok: boolean
  readonly at: number
}

function readScalar(text: string, start: number): Token {
  const code = text.charCodeAt(start)
  if (code === quote) return readString(text, start)
  if (code === minus || isDigit(code)) return readNumber(text, start)
  const word = words.find((one) => one.charCodeAt(0) === code)
  if (word === undefined) return { ok: false, at: start }
  for (let length = 1; length < word.length; length++) {
    if (text.charCodeAt(start + length) !== word.charCodeAt(length)) return { ok: false, at: start + length }
  }
  return { ok: true, at: start + word.length - 1 }
}

const words = ['true', 'false', 'null'] as const

function readString(text: string, start: number): Token {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return { ok: true, at }
    if (code < 32) return { ok: false, at }
    if (code !== backslash) continue
    at++
    if (text.charCodeAt(at) === lowerU) {
      for (const last = at + 4; at < last; at++) {
        if (!isHexDigit(text.charCodeAt(at + 1))) return { ok: false, at: at + 1 }
      }
    } else if (!escaped.has(text[at])) return { ok: false, at }
  }
  return { ok: false, at: text.length }
}

const escaped: ReadonlySet<string | undefined> = new Set(['"', '\\', '/', 'b', 'f', 'n', 'r', 't'])

const isHexDigit = (code: number) => isDigit(code) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102)

function readNumber(text: string, start: number): Token {
  let at = start
  /** False: there is none. */
  const digits = () => {
    const first = at
    while (isDigit(text.charCodeAt(at))) at++
    return at > first
  }
  if (text.charCodeAt(at) === minus) at++
  if (text.charCodeAt(at) === zero) at++
  else if (!digits()) return { ok: false, at }
  if (text.charCodeAt(at) === point) {
    at++
    if (!digits()) return { ok: false, at }
  }
  const sign = text.charCodeAt(at)
  if (sign === lowerE || sign === upperE) {
    at++
    if (text.charCodeAt(at) === plus || text.charCodeAt(at) === minus) at++
    if (!digits()) return { ok: false, at }
  }
  return { ok: true, at: at - 1 }
}
