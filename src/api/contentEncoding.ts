import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { type BrotliDecompress, createBrotliDecompress, createGunzip, type Gunzip } from 'node:zlib'
import { ProblemError } from './problem.ts'

/** What a request's body may be packed with. */
export type ContentEncoding = 'gzip' | 'br'

export const acceptedEncodings = 'gzip, br'

/** Null: the body comes as it is. Throws ProblemError: 415. */
export function contentEncodingOf(header: string | undefined): ContentEncoding | null {
  if (header === undefined) return null
  switch (header.trim().toLowerCase()) {
    case '':
    case 'identity':
      return null
    case 'gzip':
    case 'x-gzip':
      return 'gzip'
    case 'br':
      return 'br'
    default:
      throw new ProblemError({
        code: 'unsupported_media_type',
        detail: `A body may be packed with one of these: ${acceptedEncodings}.`,
        acceptEncoding: acceptedEncodings,
      })
  }
}

/** A body that is unpacked while it arrives, a few chunks ahead of its reader. */
export interface UnpackedBody extends Readable {
  /** True at the end of a body that is corrupt, cut off, or goes on after its end: what came before it has been read. */
  isCorrupt(): boolean
}

/**
 * `chunkSize`: bytes. Ends once the whole request has been read, and at the first byte that is no
 * part of the format: Node's own streams pass over what follows the end, and lines could be lost without a word. Gzip
 * members may follow each other (RFC 1952). A request that closes too early destroys it.
 */
export function unpackedBody(request: IncomingMessage, encoding: ContentEncoding, chunkSize: number): UnpackedBody {
  return new Unpacking(request, encoding, chunkSize)
}

class Unpacking extends Readable implements UnpackedBody {
  readonly #request: IncomingMessage
  readonly #unpacker: Gunzip | BrotliDecompress
  #packedBytes = 0
  #arrived = false
  #unpacked = false
  #corrupt = false
  #ended = false

  constructor(request: IncomingMessage, encoding: ContentEncoding, chunkSize: number) {
    super({ highWaterMark: chunkSize })
    this.#request = request
    const options = { chunkSize, readableHighWaterMark: chunkSize }
    this.#unpacker = encoding === 'gzip' ? createGunzip(options) : createBrotliDecompress(options)
    this.#unpacker
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) this.#unpacker.pause()
      })
      .on('drain', () => request.resume())
      .on('end', () => {
        this.#unpacked = true
        if (this.#unpacker.bytesWritten !== this.#packedBytes) this.#end(true)
        else if (this.#arrived) this.#end(false)
        else request.resume()
      })
      .on('error', () => this.#end(true))
    request.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
  }

  isCorrupt(): boolean {
    return this.#corrupt
  }

  override _read(): void {
    this.#unpacker.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#letGo()
    done(error)
  }

  readonly #onData = (chunk: Buffer) => {
    this.#packedBytes += chunk.length
    if (this.#unpacked) this.#end(true)
    else if (!this.#unpacker.write(chunk)) this.#request.pause()
  }

  readonly #onEnd = () => {
    this.#arrived = true
    if (this.#unpacked) this.#end(false)
    else this.#unpacker.end()
  }

  readonly #onClose = () => {
    if (!this.#arrived) this.destroy()
  }

  #end(corrupt: boolean): void {
    if (this.#ended) return
    this.#ended = true
    this.#corrupt = corrupt
    this.#letGo()
    this.push(null)
  }

  #letGo(): void {
    this.#request.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    this.#unpacker.destroy()
  }
}
