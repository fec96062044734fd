import { keepsDigits } from './jsonNumber.ts'
import {
  closeBrace,
  closeBracket,
  comma,
  endOfNumber,
  endOfString,
  isDigit,
  isSpace,
  minus,
  openBrace,
  openBracket,
  quote,
} from './jsonScan.ts'

/** What valid JSON may hold and a strict reader refuses. */
export type JsonFaultKind =
  | 'duplicate'
  | 'proto'
  | 'number'
  | 'nul'
  | 'surrogate'
  | 'depth'
  /** The same two, in the name of a member. */
  | 'nul_in_name'
  | 'surrogate_in_name'

export interface JsonFault {
  readonly kind: JsonFaultKind
  /** Names and indices from the document down. For a name that holds what cannot be told back: of the object it is in. */
  readonly path: readonly (string | number)[]
}

/**
 * The first fault of a document that is valid JSON, in the order of its text; null when there is none. Documents that are
 * taken never come here: this may cost more than `JSON.parse`, but takes time in proportion to the text's length.
 */
export function firstJsonFault(text: string, depthMax: number): JsonFault | null {
  return new FaultFinder(text, depthMax).find()
}

class FaultFinder {
  readonly #text: string
  readonly #depthMax: number
  readonly #path: (string | number)[] = []
  #at = 0

  constructor(text: string, depthMax: number) {
    this.#text = text
    this.#depthMax = depthMax
  }

  find(): JsonFault | null {
    const kind = this.#value()
    return kind === null ? null : { kind, path: this.#path }
  }

  /** Reads a value and the space around it. With a fault, the path is left where that is. */
  #value(): JsonFaultKind | null {
    const code = this.#next()
    if (code === openBrace || code === openBracket) {
      // The path has a step for each of the arrays and objects that this one is in.
      if (this.#path.length === this.#depthMax) return 'depth'
      return code === openBrace ? this.#object() : this.#array()
    }
    if (code === quote) return brokenText(this.#string())
    const start = this.#at
    if (code === minus || isDigit(code)) {
      this.#at = endOfNumber(this.#text, start) + 1
      return keepsDigits(this.#text.slice(start, this.#at)) ? null : 'number'
    }
    // true, false or null.
    this.#at += code === 102 ? 5 : 4
    return null
  }

  #object(): JsonFaultKind | null {
    const names = new Set<string>()
    this.#at++
    while (this.#next() !== closeBrace) {
      if (this.#text.charCodeAt(this.#at) === comma) {
        this.#at++
        this.#next()
      }
      const name = this.#string()
      const broken = brokenText(name)
      if (broken !== null) return `${broken}_in_name`
      this.#path.push(name)
      if (name === '__proto__') return 'proto'
      if (names.has(name)) return 'duplicate'
      names.add(name)
      // The colon.
      this.#next()
      this.#at++
      const fault = this.#value()
      if (fault !== null) return fault
      this.#path.pop()
    }
    this.#at++
    return null
  }

  #array(): JsonFaultKind | null {
    this.#at++
    for (let index = 0; this.#next() !== closeBracket; index++) {
      if (index > 0) this.#at++
      this.#path.push(index)
      const fault = this.#value()
      if (fault !== null) return fault
      this.#path.pop()
    }
    this.#at++
    return null
  }

  /** The string that begins here, and moves past it. */
  #string(): string {
    const start = this.#at
    const end = endOfString(this.#text, start)
    this.#at = end + 1
    const between = this.#text.slice(start + 1, end)
    return between.includes('\\') ? JSON.parse(this.#text.slice(start, end + 1)) : between
  }

  /** The next character that is no space. */
  #next(): number {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++
    return this.#text.charCodeAt(this.#at)
  }
}

/** PostgreSQL stores no U+0000, and half a surrogate pair has no UTF-8 form. */
export function brokenText(text: string): 'nul' | 'surrogate' | null {
  if (text.includes('\0')) return 'nul'
  return text.isWellFormed() ? null : 'surrogate'
}
