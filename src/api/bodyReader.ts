import type { FastifyRequest } from 'fastify'
import type { FairShare, Lease } from '../runtime/fairShare.ts'
import { ownerOf } from './accessControl.ts'
import { type ContentEncoding, unpackedBody } from './contentEncoding.ts'
import { ProblemError } from './problem.ts'
import { shareProblem } from './shares.ts'

type Asker = Pick<FastifyRequest, 'caller' | 'raw'>

export interface BodyReaderLimits {
  /** Largest body, unpacked. */
  readonly bodyBytesMax: number
  /** Longest time from a request's headers to its body's last byte. */
  readonly bodyArrivalMsMax: number
}

/**
 * Reads whole bodies under one clock. Node's own `requestTimeout` holds for a server as a whole and would cut bulk
 * uploads, which may take as long as they keep moving; and a timer for each body would cost more than the reading.
 */
export interface BodyReader {
  /** `encoding`: of the body, null when it comes as it is. */
  read(asker: Asker, encoding: ContentEncoding | null, done: (error: ProblemError | null, body: Buffer) => void): void
  /** Ends the bodies that took too long. Called by the server, once a second. */
  expire(): void
}

/**
 * A client that sends more than it may seldom looks for an answer before it has sent all of it: so much is read and
 * thrown away, so that it meets the 413 and not a broken connection.
 */
const discardedBytesMax = 8 * 1024 * 1024

/** What unpacking one body takes beside the body itself. */
const unpackerBytes = 64 * 1024
const unpackedChunkBytes = 16 * 1024

const nothing = Buffer.alloc(0)

function corrupt(encoding: ContentEncoding | null): ProblemError {
  return new ProblemError({ code: 'invalid', detail: `The body is not ${encoding}, is damaged, or ends too early.` })
}

interface Arriving {
  readonly deadlineMs: number
  readonly end: (error: ProblemError) => void
}

/** `share`: of bytes that have come of bodies that are still arriving. One that comes in a piece is none of them. */
export function createBodyReader(limits: BodyReaderLimits, share: FairShare): BodyReader {
  const tooLarge = (unpacked: string) =>
    new ProblemError({ code: 'too_large', detail: `The body is larger than ${limits.bodyBytesMax} bytes${unpacked}.` })
  /** In order of their deadlines. */
  const arriving = new Set<Arriving>()

  function read(
    asker: Asker,
    encoding: ContentEncoding | null,
    done: (error: ProblemError | null, body: Buffer) => void,
  ): void {
    const request = asker.raw
    const declared = Number(request.headers['content-length'] ?? 0)
    if (declared > limits.bodyBytesMax + discardedBytesMax) {
      done(tooLarge(''), nothing)
      return
    }
    const unpacking = encoding === null ? null : unpackedBody(request, encoding, unpackedChunkBytes)
    const chunks: Buffer[] = []
    let bytes = 0
    let lease: Lease | null = null
    let ended = false
    const entry: Arriving = { deadlineMs: performance.now() + limits.bodyArrivalMsMax, end: (error) => finish(error) }
    arriving.add(entry)
    const body = unpacking ?? request
    body.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost)
    if (unpacking !== null) lease = holdMore(asker, lease, unpackerBytes, finish)

    // The listeners stay, and hear nothing any more: taking them off again cost as much as the reading.
    function finish(error: ProblemError | null): void {
      if (ended) return
      ended = true
      arriving.delete(entry)
      lease?.release()
      const [first = nothing] = chunks
      const body = chunks.length <= 1 ? first : Buffer.concat(chunks, bytes)
      chunks.length = 0
      if (error === null) {
        done(null, body)
      } else {
        unpacking?.destroy()
        request.resume()
        done(error, nothing)
      }
    }
    function onData(chunk: Buffer): void {
      if (ended) return
      bytes += chunk.length
      if (bytes <= limits.bodyBytesMax) {
        chunks.push(chunk)
        if (bytes !== declared || unpacking !== null) lease = holdMore(asker, lease, chunk.length, finish)
      } else if (unpacking !== null) {
        finish(tooLarge(' when it is unpacked'))
      } else {
        chunks.length = 0
        lease?.release()
        if (bytes > limits.bodyBytesMax + discardedBytesMax) finish(tooLarge(''))
      }
    }
    function onEnd(): void {
      if (unpacking?.isCorrupt() === true) finish(corrupt(encoding))
      else finish(bytes > limits.bodyBytesMax ? tooLarge('') : null)
    }
    function onLost(): void {
      // A request closes after its body too, and an error with its stack takes longer than the reading.
      if (ended) return
      finish(new ProblemError({ code: 'invalid', detail: 'The body ended before it was whole.' }))
    }
  }

  /** What a body holds, with so much more; one that must give it up, now or later, is ended. */
  function holdMore(asker: Asker, lease: Lease | null, bytes: number, end: Arriving['end']): Lease | null {
    const owner = ownerOf(asker)
    const overloaded = () => end(shareProblem('bodies', share, owner))
    const held = lease ?? share.take(owner, bytes, overloaded)
    if (held === null || (lease !== null && !lease.grow(bytes))) overloaded()
    return held
  }

  function expire(): void {
    const now = performance.now()
    for (const body of arriving) {
      if (body.deadlineMs > now) break
      body.end(new ProblemError({ code: 'timeout', detail: 'The body did not arrive in time.' }))
    }
  }

  return { read, expire }
}
