import { hash } from 'node:crypto'

/**
 * Text to be hashed as UTF-8, put together piece by piece in memory that is used again: joined as strings, the pieces of a
 * report of 1 kB left 8 kB for the garbage collector. One hash at a time: `begin`, pieces, `digest`, in one go.
 */
export class HashInput {
  #bytes = Buffer.allocUnsafeSlow(16 * 1024)
  #length = 0

  begin(): this {
    this.#length = 0
    return this
  }

  /** For texts of any length. */
  add(text: string): this {
    // No UTF-16 unit takes more than three bytes.
    this.#makeRoom(text.length * 3)
    this.#length += this.#bytes.write(text, this.#length)
    return this
  }

  /** For short texts that are ASCII, as a rule: a loop is faster there than a call that leaves JavaScript. */
  addShort(text: string): this {
    const { length } = text
    if (length > shortLengthMax) return this.add(text)
    this.#makeRoom(length)
    const bytes = this.#bytes
    let at = this.#length
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index)
      if (unit > 0x7e) return this.add(text)
      bytes[at] = unit
      at += 1
    }
    this.#length = at
    return this
  }

  /** A JSON string: quoted, with escapes where they are needed. */
  addQuoted(text: string): this {
    const { length } = text
    if (length > shortLengthMax) return this.#addLongQuoted(text)
    this.#makeRoom(length + 2)
    const bytes = this.#bytes
    let at = this.#length
    bytes[at] = quote
    at += 1
    for (let index = 0; index < length; index += 1) {
      const unit = text.charCodeAt(index)
      if (unit < 0x20 || unit > 0x7e || unit === quote || unit === backslash) return this.add(JSON.stringify(text))
      bytes[at] = unit
      at += 1
    }
    bytes[at] = quote
    this.#length = at + 1
    return this
  }

  /** SHA-256 over what was added since `begin`. */
  digest(encoding: 'hex' | 'base64url'): string {
    const digest = hash('sha256', this.#bytes.subarray(0, this.#length), encoding)
    // What one long text needed is not kept.
    if (this.#bytes.length > keptBytesMax) this.#bytes = Buffer.allocUnsafeSlow(16 * 1024)
    return digest
  }

  #addLongQuoted(text: string): this {
    return plain.test(text) ? this.addShort('"').add(text).addShort('"') : this.add(JSON.stringify(text))
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

const shortLengthMax = 64
const keptBytesMax = 1024 * 1024
const quote = 0x22
const backslash = 0x5c
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
