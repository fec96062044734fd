import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { ApiServer } from './apiServer.ts'
import { ProblemError } from './problem.ts'

interface StandingAnswersLimits {
  readonly answersBytesMax: number
  readonly bulkIdleMsMax: number
}

/** Smaller ones are what a connection's buffers take. */
const largeBytes = 64 * 1024

/** Large answers whose readers have not taken them. */
export class StandingAnswers {
  readonly #limits: StandingAnswersLimits
  /** Payloads that are kept anyway, whoever reads them: one more reader costs nothing. */
  readonly #shared = new WeakSet<Buffer>()
  readonly #connections = new WeakMap<Socket, { bytes: number }>()
  #bytes = 0

  constructor(limits: StandingAnswersLimits) {
    this.#limits = limits
  }

  bytes(): number {
    return this.#bytes
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limits.answersBytesMax
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
  stand(response: ServerResponse, payload: unknown): void {
    if (response.destroyed || largeBytesOf(payload) === 0) return
    this.#count(response, this.bytesOf(payload))
    this.#cutOffUnread(response)
  }

  /** Until it is taken, or its connection is gone: Node tells that to no answer whose turn has not come. */
  #count(response: ServerResponse, bytes: number): void {
    const { socket } = response.req
    if (!(socket instanceof Socket) || socket.destroyed || bytes === 0) return
    const share = this.#connections.get(socket) ?? this.#shareOf(socket)
    share.bytes += bytes
    this.#bytes += bytes
    response.once('close', () => {
      const left = Math.min(share.bytes, bytes)
      share.bytes -= left
      this.#bytes -= left
    })
  }

  #shareOf(socket: Socket): { bytes: number } {
    const share = { bytes: 0 }
    this.#connections.set(socket, share)
    socket.once('close', () => {
      this.#bytes -= share.bytes
      share.bytes = 0
    })
    return share
  }

  /** Node asks the connection whether anything of it has gone out meanwhile. */
  #cutOffUnread(response: ServerResponse): void {
    const { socket } = response
    if (socket === null) response.once('socket', () => this.#cutOffUnread(response))
    if (!(socket instanceof Socket)) return
    const before = socket.timeout
    socket.setTimeout(this.#limits.bulkIdleMsMax)
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
 * are bounded together (then reads are 503), and who takes nothing of a large one is cut off.
 *
 * The answer to a command is small, and is never refused: the command has been carried out. Where it is not small, a
 * definition or a problem, it counts as well (`stand`).
 */
export function boundStandingAnswers(app: ApiServer, answers: StandingAnswers): void {
  function requireRoom(bytes: number): void {
    if (answers.hasRoom(bytes)) return
    const detail = 'The service holds as many answers that are not read as it can. Try again later.'
    throw new ProblemError({ code: 'overloaded', detail, retryAfterS: 1 })
  }

  app.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    // A definition's answer repeats it.
    if (methods.includes('PUT'))
      route.preHandler = [async (_request, reply) => turnToAnswer(reply), ...[route.preHandler ?? []].flat()]
    if (!methods.includes('GET')) return
    // A page that is refused once it is made has cost its memory all the same: the next is expected to be as large.
    let expected = 0
    route.preHandler = [
      async (_request, reply) => {
        await turnToAnswer(reply)
        if (answers.bytes() > 0) requireRoom(expected)
      },
      ...[route.preHandler ?? []].flat(),
    ]
    route.onSend = [
      async (_request, reply, payload) => {
        if (reply.statusCode === 503) return payload
        expected = answers.bytesOf(payload)
        requireRoom(expected)
        answers.stand(reply.raw, payload)
        return payload
      },
      ...[route.onSend ?? []].flat(),
    ]
  })
}
