import type { ServerResponse } from 'node:http'
import { sseHeartbeat } from './sseText.ts'

/**
 * One reader's connection. Nothing is ever kept for it but what its socket has not taken yet: who leaves more than
 * `queuedBytesMax` of it standing is cut off, and resumes where it was.
 */
export class LiveStream {
  /** All that the stream asks for, up to here, has been written. */
  cursor: bigint
  readonly #response: ServerResponse
  readonly #queuedBytesMax: number
  readonly #onDropped: () => void
  #ended = false

  constructor(
    response: ServerResponse,
    options: { readonly cursor: bigint; readonly queuedBytesMax: number; readonly onDropped: () => void },
  ) {
    this.#response = response
    this.#queuedBytesMax = options.queuedBytesMax
    this.#onDropped = options.onDropped
    this.cursor = options.cursor
    response.on('error', () => undefined)
    response.once('close', () => {
      this.#ended = true
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Whether the socket has not taken what was written. */
  get isUnread(): boolean {
    return this.#response.writableNeedDrain
  }

  /**
   * Writes, unless what was written before is still standing: then the reader is too slow. Bytes may be shared with any
   * number of streams; a write keeps a reference, not a copy.
   */
  write(bytes: Buffer | string): void {
    if (this.#ended) return
    if (this.#response.writableLength > this.#queuedBytesMax) {
      this.drop()
      return
    }
    this.#response.write(bytes)
  }

  /** Says that the service is there. Not to one who has something to read: that says it as well. */
  beat(place: string): void {
    if (!this.isUnread) this.write(sseHeartbeat(place))
  }

  /** True once the socket has taken all that was written; false when it did not within `timeoutMs`, or has closed. */
  drained(timeoutMs: number): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false)
    if (!this.isUnread) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settle = (drained: boolean) => {
        clearTimeout(timer)
        this.#response.off('drain', onDrain).off('close', onClose)
        resolve(drained)
      }
      const onDrain = () => settle(true)
      const onClose = () => settle(false)
      const timer = setTimeout(() => settle(false), timeoutMs)
      this.#response.on('drain', onDrain).on('close', onClose)
    })
  }

  /** Cuts the connection: what it has not read yet is forgotten with it. */
  drop(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onDropped()
    this.#response.destroy()
  }

  /** Ends in order, with some last words. */
  end(lastWords: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#response.end(lastWords)
  }
}
