import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { ApiServer } from './apiServer.ts'
import { ProblemError } from './problem.ts'

interface StandingAnswersLimits {
  readonly answersBytesMax: number
  readonly bulkIdleMsMax: number
}

export interface StandingAnswers {
  /** Bytes of large answers whose readers have not taken them. */
  readonly bytes: () => number
}

/** Smaller ones are what a connection's buffers take. */
const largeBytes = 64 * 1024

/**
 * A page can be a thousand times as large as what asks for it, and stays in memory until its reader has taken it. So of
 * requests that come together on a connection a read is begun when its turn to be answered has come, all unread answers
 * are bounded together (then reads are 503), and who takes nothing of a large one is cut off.
 */
export function boundStandingAnswers(app: ApiServer, limits: StandingAnswersLimits): StandingAnswers {
  let standing = 0

  function requireRoom(bytes: number): void {
    if (standing + bytes <= limits.answersBytesMax) return
    const detail = 'The service holds as many answers that are not read as it can. Try again later.'
    throw new ProblemError({ code: 'overloaded', detail, retryAfterS: 1 })
  }

  function stand(response: ServerResponse, bytes: number): void {
    standing += bytes
    const { socket } = response
    const isConnection = socket instanceof Socket
    const before = isConnection ? socket.timeout : undefined
    // Node asks the connection whether anything of it has gone out meanwhile.
    if (isConnection) socket.setTimeout(limits.bulkIdleMsMax)
    response.once('close', () => {
      standing -= bytes
      if (isConnection) socket.setTimeout(before ?? 0)
    })
  }

  app.addHook('onRoute', (route) => {
    if (![route.method].flat().includes('GET') || !route.url.startsWith('/v1/')) return
    // A page that is refused once it is made has cost its memory all the same: the next is expected to be as large.
    let expected = 0
    route.preHandler = [
      async (_request, reply) => {
        if (reply.raw.socket === null) await new Promise((resolve) => reply.raw.once('socket', resolve))
        if (standing > 0) requireRoom(expected)
      },
      ...[route.preHandler ?? []].flat(),
    ]
    route.onSend = [
      async (_request, reply, payload) => {
        if (reply.statusCode === 503) return payload
        expected = 0
        if (typeof payload !== 'string' || payload.length < largeBytes || reply.raw.destroyed) return payload
        const bytes = Buffer.byteLength(payload)
        expected = bytes
        requireRoom(bytes)
        stand(reply.raw, bytes)
        return payload
      },
      ...[route.onSend ?? []].flat(),
    ]
  })
  return { bytes: () => standing }
}
