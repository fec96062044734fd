import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { FairShare, Lease } from '../runtime/fairShare.ts'
import { ownerOf } from './accessControl.ts'
import type { ApiServer } from './apiServer.ts'
import { shareProblem } from './shares.ts'

/** Smaller ones are what a connection's buffers take. */
const largeBytes = 64 * 1024

/** Large answers whose readers have not taken them. */
export class UnreadAnswers {
  readonly #share: FairShare
  readonly #idleMsMax: number
  /** Payloads that are kept anyway, whoever reads them: one more reader costs nothing. */
  readonly #shared = new WeakSet<Buffer>()
  readonly #connections = new WeakMap<Socket, Set<Lease>>()

  /** `idleMsMax`: who takes nothing of a large answer for so long is cut off. */
  constructor(share: FairShare, idleMsMax: number) {
    this.#share = share
    this.#idleMsMax = idleMsMax
  }

  bytes(): number {
    return this.#share.taken
  }

  /** Whether there is room for another answer so large. Whoever has the most of them may be cut off for one who has fewer. */
  hasRoom(owner: string, bytes: number): boolean {
    return this.#share.makeRoom(owner, bytes)
  }

  /** Throws ProblemError. */
  requireRoom(owner: string, bytes: number): void {
    if (!this.hasRoom(owner, bytes)) throw shareProblem('answers', this.#share, owner)
  }

  /** For a payload that is made once and sent to all who ask. */
  share(payload: Buffer): Buffer {
    this.#shared.add(payload)
    return payload
  }

  /** What a payload adds to what is held; 0 for a small or a shared one. */
  bytesOf(payload: unknown): number {
    return Buffer.isBuffer(payload) && this.#shared.has(payload) ? 0 : largeBytesOf(payload)
  }

  /** Counts a large answer until it is taken, and cuts off who takes nothing of it. Nothing for a small one. */
  track(response: ServerResponse, owner: string, payload: unknown): void {
    if (response.destroyed || largeBytesOf(payload) === 0) return
    this.#count(response, owner, this.bytesOf(payload))
    this.#cutOffUnread(response)
  }

  /** Until it is taken, or its connection is gone: Node tells that to no answer whose turn has not come. */
  #count(response: ServerResponse, owner: string, bytes: number): void {
    const { socket } = response.req
    if (!(socket instanceof Socket) || socket.destroyed || bytes === 0) return
    const leases = this.#connections.get(socket) ?? this.#leasesOf(socket)
    const lease = this.#share.hold(owner, bytes, () => socket.destroy())
    leases.add(lease)
    response.once('close', () => {
      leases.delete(lease)
      lease.release()
    })
  }

  #leasesOf(socket: Socket): Set<Lease> {
    const leases = new Set<Lease>()
    this.#connections.set(socket, leases)
    socket.once('close', () => {
      for (const lease of leases) lease.release()
      leases.clear()
    })
    return leases
  }

  /** Node asks the connection whether anything of it has gone out meanwhile. */
  #cutOffUnread(response: ServerResponse): void {
    const { socket } = response
    if (socket === null) response.once('socket', () => this.#cutOffUnread(response))
    if (!(socket instanceof Socket)) return
    const before = socket.timeout
    socket.setTimeout(this.#idleMsMax)
    response.once('close', () => socket.setTimeout(before ?? 0))
  }
}

function largeBytesOf(payload: unknown): number {
  if (typeof payload === 'string') return payload.length < largeBytes ? 0 : Buffer.byteLength(payload)
  return Buffer.isBuffer(payload) && payload.length >= largeBytes ? payload.length : 0
}

/** Of requests that come together on a connection: until the answers of those before it have been taken. */
export async function turnToAnswer({ raw }: { readonly raw: ServerResponse }): Promise<void> {
  if (raw.socket === null) await new Promise((resolve) => raw.once('socket', resolve))
}

/**
 * An answer can be a thousand times as large as what asks for it, and stays in memory until its reader has taken it. So of
 * requests that come together on a connection a read is begun when its turn to be answered has come, all unread answers
 * are bounded together, and who takes nothing of a large one is cut off. Once they are as many as may be, whoever has the
 * most of them loses the oldest to one who has fewer (fairShare.ts); other reads are 503.
 *
 * The answer to a command is small, and is never refused: the command has been carried out. Where it is not small, a
 * definition or a problem, it counts as well (`track`).
 */
export function boundUnreadAnswers(app: ApiServer, answers: UnreadAnswers): void {
  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    // A definition's answer repeats it.
    if (methods.includes('PUT'))
      route.preHandler = [async (_request, reply) => turnToAnswer(reply), ...[route.preHandler ?? []].flat()]
    if (!methods.includes('GET')) return
    // A page that is refused once it is made has cost its memory all the same: the next is expected to be as large.
    let expected = 0
    route.preHandler = [
      async (request, reply) => {
        await turnToAnswer(reply)
        if (answers.bytes() > 0) answers.requireRoom(ownerOf(request), expected)
      },
      ...[route.preHandler ?? []].flat(),
    ]
    route.onSend = [
      async (request, reply, payload) => {
        if (reply.statusCode === 503) return payload
        expected = answers.bytesOf(payload)
        answers.requireRoom(ownerOf(request), expected)
        answers.track(reply.raw, ownerOf(request), payload)
        return payload
      },
      ...[route.onSend ?? []].flat(),
    ]
  })
}
