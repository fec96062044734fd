import { Readable } from 'node:stream'

/** Bytes of results that each request may leave unread, whatever the others do. */
const ownBytes = 64 * 1024

/**
 * What has not been read of the answers of all bulk requests. Many clients write all they have before they read anything:
 * as long as there is room here they are answered in full. Beyond it each request is read no faster than its results are.
 */
export interface UnreadResults {
  open(onRoom: () => void): BulkAnswer
  readonly bytes: () => number
}

export interface BulkAnswer {
  readonly stream: Readable
  write(text: string): void
  end(): void
  /** Whether more results may be made. When they may again, `onRoom` is called. */
  hasRoom(): boolean
  /** Results that nobody has taken. */
  unreadBytes(): number
}

export function createUnreadResults({ bulkUnreadBytesMax }: { readonly bulkUnreadBytesMax: number }): UnreadResults {
  const open = new Map<Readable, () => void>()
  const bytes = () => {
    let sum = 0
    for (const { destroyed, readableLength } of open.keys()) sum += destroyed ? 0 : readableLength
    return sum
  }
  return {
    bytes,
    open(onRoom) {
      const stream = new Readable({ highWaterMark: ownBytes, read: onRoom })
      open.set(stream, onRoom)
      stream.once('close', () => {
        open.delete(stream)
        for (const tell of open.values()) tell()
      })
      return {
        stream,
        write(text) {
          if (text !== '' && !stream.destroyed) stream.push(text)
        },
        end: () => void stream.push(null),
        // What is written to a reader who has left is dropped.
        hasRoom: () => stream.destroyed || stream.readableLength < ownBytes || bytes() < bulkUnreadBytesMax,
        unreadBytes: () => stream.readableLength,
      }
    },
  }
}
