import { type JsonObject, jsonBytes } from './json.ts'

/**
 * A JSON object that rests as its text, and is a value only while it is worked on: an operation's data or metadata. For
 * most of an operation's life its documents are passed on as they are, to a row or to an answer; as values, of a hundred
 * small objects each, they would take three times the memory (docs/performance.md).
 *
 * Immutable. Two documents are one only when they are the same object: a fold that changes nothing gives back the one it got.
 */
export class Document {
  private kept: string | JsonObject
  /** Of the text, once it was measured. */
  private textBytes: number | null = null

  private constructor(kept: string | JsonObject) {
    this.kept = kept
  }

  /** The value is the document's from now on: nobody changes it. */
  static of(value: JsonObject): Document {
    return new Document(value)
  }

  /** `text`: of a JSON object, without white space before it. */
  static ofText(text: string): Document {
    if (text.charCodeAt(0) !== openBrace) throw new Error('a document is a JSON object')
    return new Document(text)
  }

  /** JSON text; from now on the document is kept as it. */
  get text(): string {
    if (typeof this.kept !== 'string') this.kept = JSON.stringify(this.kept)
    return this.kept
  }

  /** Parsed anew at each call once the document rests: whoever needs it twice keeps it. */
  get value(): JsonObject {
    return typeof this.kept === 'string' ? (JSON.parse(this.kept) as JsonObject) : this.kept
  }

  /** UTF-8 bytes of its JSON text; measured once while it rests, as the cache of operations asks after every batch. */
  get bytes(): number {
    if (typeof this.kept !== 'string') return jsonBytes(this.kept)
    this.textBytes ??= Buffer.byteLength(this.kept)
    return this.textBytes
  }

  /** Whether it is kept as text. */
  get isResting(): boolean {
    return typeof this.kept === 'string'
  }

  /** For whoever prints a state as it is. */
  toJSON(): JsonObject {
    return this.value
  }

  /** Whether it is kept as this very value. */
  is(value: JsonObject): boolean {
    return this.kept === value
  }

  /**
   * What `apply` makes of it and a patch: itself when nothing changes.
   *
   * @param text the patch as JSON text, where it is at hand
   */
  patched(
    patch: JsonObject,
    apply: (target: JsonObject, patch: JsonObject) => JsonObject,
    text: string | undefined,
  ): Document {
    const before = this.value
    const after = apply(before, patch)
    if (after === before) return this
    return after === patch && text !== undefined ? new Document(text) : new Document(after)
  }
}

const openBrace = 123
