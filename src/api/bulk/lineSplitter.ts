import { isUtf8 } from 'node:buffer'
import { invalidUtf8Offset } from '../invalidUtf8.ts'

/** A line of an upload, by its number from 1: its text, or why there is none. */
export type Line =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly fault: 'too_long' }
  /** `offset`: of the first byte that is wrong, within the line. */
  | { readonly number: number; readonly fault: 'not_utf8'; readonly offset: number }

/**
 * Cuts chunks of bytes into lines, each at most `lineBytesMax` long. Text is decoded a chunk at a time, not a line at a
 * time: half of the work for lines of 200 bytes. Blank lines are counted and passed over.
 */
export interface LineSplitter {
  push(chunk: Buffer): void
  /** No more chunks will come: what is left is a line. */
  end(): void
  /** The next line, or null when more bytes are needed. */
  next(): Line | null
}

const newline = 10
const blank = /^\s*$/

export function createLineSplitter(lineBytesMax: number): LineSplitter {
  const chunks: Buffer[] = []
  /** The beginning of a line whose end has not come. */
  let carry: Buffer[] = []
  let carryBytes = 0
  /** Within a line that was given out as too long already. */
  let discarding = false
  /** Whole lines not given out yet, each with its newline: as text, or as bytes when they are not valid UTF-8 together. */
  let text = ''
  let bytes: Buffer = Buffer.alloc(0)
  let at = 0
  let number = 0

  /** Gets whole lines from the chunks. `too_long`: a line whose end is not even here is. */
  function load(): 'lines' | 'too_long' | 'none' {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      let rest = chunk
      if (discarding) {
        const end = rest.indexOf(newline)
        if (end === -1) continue
        discarding = false
        rest = rest.subarray(end + 1)
      }
      const last = rest.lastIndexOf(newline)
      if (last === -1) {
        if (rest.length > 0) carry.push(rest)
        carryBytes += rest.length
        if (carryBytes <= lineBytesMax) continue
        carry = []
        carryBytes = 0
        discarding = true
        return 'too_long'
      }
      const lines = rest.subarray(0, last + 1)
      const whole = carry.length === 0 ? lines : Buffer.concat([...carry, lines])
      carry = last + 1 < rest.length ? [rest.subarray(last + 1)] : []
      carryBytes = rest.length - last - 1
      at = 0
      if (isUtf8(whole)) text = whole.toString('utf8')
      else bytes = whole
      return 'lines'
    }
    return 'none'
  }

  function nextText(): Line | null {
    while (at < text.length) {
      const end = text.indexOf('\n', at)
      const line = text.slice(at, end)
      at = end + 1
      number += 1
      if (line === '' || blank.test(line)) continue
      // A UTF-16 unit is at most 3 bytes of UTF-8.
      const tooLong =
        line.length > lineBytesMax || (line.length * 3 > lineBytesMax && Buffer.byteLength(line) > lineBytesMax)
      return tooLong ? { number, fault: 'too_long' } : { number, text: line }
    }
    text = ''
    return null
  }

  function nextBytes(): Line | null {
    while (at < bytes.length) {
      const end = bytes.indexOf(newline, at)
      const line = bytes.subarray(at, end)
      at = end + 1
      number += 1
      if (line.length > lineBytesMax) return { number, fault: 'too_long' }
      if (!isUtf8(line)) return { number, fault: 'not_utf8', offset: invalidUtf8Offset(line) }
      const decoded = line.toString('utf8')
      if (!blank.test(decoded)) return { number, text: decoded }
    }
    bytes = Buffer.alloc(0)
    return null
  }

  function next(): Line | null {
    for (;;) {
      const line = text !== '' ? nextText() : bytes.length > 0 ? nextBytes() : null
      if (line !== null) return line
      const loaded = load()
      if (loaded === 'none') return null
      if (loaded === 'too_long') {
        number += 1
        return { number, fault: 'too_long' }
      }
    }
  }

  return {
    push: (chunk) => {
      chunks.push(chunk)
    },
    end: () => {
      // After a last newline this makes a blank line, which is nothing.
      chunks.push(Buffer.from('\n'))
    },
    next,
  }
}
