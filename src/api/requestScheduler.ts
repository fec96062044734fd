import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { FairQueue } from '../runtime/fairQueue.ts'

/**
 * The event loop, shared between requests and what those taken before wait for. Node hands over every request that has
 * arrived, and whoever is answered at once sends the next one, which is handed over in the same turn of the loop: with more
 * than a thousand connections that are refused as fast as they ask, the loop did not come to the log's batches and to
 * timers for seconds on end (measured: of 16,000 requests in flight 40 a second were accepted in two minutes, with turns 4,000).
 */
export interface RequestScheduler {
  /**
   * Begins a request: at once, or in a later turn of the event loop when this one has begun as many as it may. The owners
   * of those in line take turns, and so do the connections of each, one request after the other; a connection with many in
   * line is not read from until there are fewer.
   */
  enter(connection: Connection, begin: Begin, request?: OwnedRequest): void
}

export type OwnedRequest = Pick<IncomingMessage, 'headers' | 'socket'>

export type Connection = Pick<Socket, 'pause' | 'resume'>

/** Told how long the request stood in line. */
type Begin = (waitedMs: number) => void

/** Requests begun in a turn: some ten milliseconds of work. More than come at once from clients that wait for their answers. */
export const requestsPerTick = 256
/** Requests of one connection in line. What has been read by then comes on top: a chunk of 64 kB. */
export const requestsInLineMax = 64

interface InLine {
  readonly connection: Connection
  readonly requests: { readonly begin: Begin; readonly sinceMs: number; readonly owner: string }[]
  paused: boolean
}

/** `ownerOf`: who sends a request (accessControl.ts); asked of requests that stand in line alone. */
export function createRequestScheduler(ownerOf: (request: OwnedRequest) => string = () => ''): RequestScheduler {
  const inLine = new Map<Connection, InLine>()
  const line = new FairQueue<InLine>()
  let begun = 0
  let scheduled = false

  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(turn)
  }

  const turn = (): void => {
    scheduled = false
    begun = 0
    if (!line.isEmpty) schedule()
    for (; begun < requestsPerTick; begun += 1) {
      const one = line.shift()
      if (one === undefined) break
      beginOne(one)
    }
  }

  const beginOne = (one: InLine): void => {
    const request = one.requests.shift()
    const [next] = one.requests
    if (next !== undefined) line.push(next.owner, one)
    else inLine.delete(one.connection)
    if (one.paused && one.requests.length <= requestsInLineMax / 2) {
      one.paused = false
      one.connection.resume()
    }
    request?.begin(performance.now() - request.sinceMs)
  }

  const wait = (connection: Connection, begin: Begin, owner: string): void => {
    const request = { begin, sinceMs: performance.now(), owner }
    const one = inLine.get(connection)
    if (one === undefined) {
      const first = { connection, requests: [request], paused: false }
      inLine.set(connection, first)
      line.push(owner, first)
      return
    }
    one.requests.push(request)
    if (one.paused || one.requests.length < requestsInLineMax) return
    one.paused = true
    connection.pause()
  }

  return {
    enter(connection, begin, request) {
      schedule()
      if (begun < requestsPerTick && line.isEmpty) {
        begun += 1
        begin(0)
      } else {
        wait(connection, begin, request === undefined ? '' : ownerOf(request))
      }
    },
  }
}
