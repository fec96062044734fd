import { setTimeout as delay } from 'node:timers/promises'
import { LogUnavailableError } from '../../eventlog/eventLog.ts'
import { ReadModelUnavailableError } from '../../projections/readModel.ts'
import type { Semaphore } from '../../runtime/semaphore.ts'
import type { PositionTokens } from '../positionToken.ts'
import type { Feed, LiveMessage } from './feed.ts'
import type { LiveStream } from './liveStream.ts'
import { ssePosition } from './sseText.ts'

/** What a stream has missed, read in pieces. */
export interface Missed {
  readonly messages: readonly LiveMessage[]
  /** All up to here is told with them; the stream's cursor when there is nothing yet. */
  readonly to: bigint
  /** Characters read for it: the next piece is measured by them. */
  readonly read: number
}

export interface CatchUp<Filter> {
  readonly stream: LiveStream
  readonly filter: Filter
  readonly feed: Feed<Filter>
  /** Bounds the pieces read at once for all streams. */
  readonly reads: Semaphore
  /** Whose stream it is. */
  readonly owner: string
  readonly tokens: PositionTokens
  /** Reads on from the stream's cursor: `count` events, or fewer. */
  readonly missed: (count: number) => Promise<Missed>
}

const countMin = 10
const countMax = 500
/** A piece is to be about so large: 2,000 streams that catch up at once must not hold more than this each. */
const pieceCharacters = 128 * 1024
/** A reader that does not take a piece within this is too slow. */
const pieceMsMax = 30_000
const retryMs = 500

/** Tells a stream what it has missed, as fast as it reads, until it can join the feed. Settles when it has, or has ended. */
export async function catchUp<Filter>(options: CatchUp<Filter>): Promise<void> {
  const { stream, filter, feed, reads, owner, tokens, missed } = options
  let count = countMin * 5
  while (!stream.ended && !feed.join(stream, filter)) {
    let piece: Missed
    try {
      piece = await reads.run(() => missed(count), owner)
    } catch (error) {
      if (!(error instanceof LogUnavailableError || error instanceof ReadModelUnavailableError)) throw error
      // Heartbeats go on: the reader need not come back for that.
      await delay(retryMs)
      continue
    }
    if (stream.ended) return
    // The read model is behind.
    if (piece.to <= stream.cursor && piece.read === 0) await delay(retryMs / 10)
    if (piece.messages.length > 0) stream.write(piece.messages.map(({ text }) => text).join(''))
    else if (piece.to > stream.cursor) stream.write(ssePosition(tokens.encode(piece.to)))
    if (piece.to > stream.cursor) stream.cursor = piece.to
    const wanted = piece.read === 0 ? countMax : Math.floor((count * pieceCharacters) / piece.read)
    count = Math.max(countMin, Math.min(countMax, wanted, count * 2))
    if (!(await stream.drained(pieceMsMax))) stream.drop()
  }
}
