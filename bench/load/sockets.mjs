// HTTP over sockets of our own, one request at a time on each: a fifth of what node:http's client costs, so that the
// generator leaves the machine to the service. Understands answers with a Content-Length, and no others.
import { connect } from 'node:net'

const headEnd = Buffer.from('\r\n\r\n')

/** Answered, but not with 2xx. */
class AnswerError extends Error {
  /** A service may refuse what is too much for it; it said so at once. */
  get isRefusal() {
    return this.message.startsWith('HTTP/1.1 503 ')
  }
}

/**
 * @param {number} socketsMax requests beyond it wait in line
 * @returns {{ send(request: string): Promise<Buffer>, waiting(): number, close(): void }} `send` settles with the body, and
 *   rejects with AnswerError when the answer is no 2xx
 */
export function openSockets(port, socketsMax) {
  const idle = []
  const all = new Set()
  const line = []
  let next = 0

  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const slot = { socket, job: null, received: null }
    all.add(slot)
    socket.on('data', (bytes) => receive(slot, bytes))
    socket.on('error', (error) => slot.job?.reject(error))
    socket.on('close', () => {
      all.delete(slot)
      slot.job?.reject(new Error('the connection was closed instead of an answer'))
    })
    return slot
  }

  const start = (slot, job) => {
    slot.job = job
    slot.socket.write(job.request)
  }

  const receive = (slot, bytes) => {
    const received = slot.received === null ? bytes : Buffer.concat([slot.received, bytes])
    const body = bodyOf(received)
    if (body === null) {
      slot.received = received
      return
    }
    const { job } = slot
    slot.job = null
    slot.received = null
    const waiting = line[next]
    if (waiting === undefined) idle.push(slot)
    else {
      next += 1
      if (next > 10_000) line.splice(0, next)
      if (next > 10_000) next = 0
      start(slot, waiting)
    }
    if (received[9] === 50) job.resolve(body)
    else job.reject(new AnswerError(received.toString('utf8')))
  }

  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        const job = { request, resolve, reject }
        const slot = idle.pop() ?? (all.size < socketsMax ? open() : undefined)
        if (slot === undefined) line.push(job)
        else start(slot, job)
      }),
    waiting: () => line.length - next,
    close() {
      for (const { socket } of all) socket.destroy()
    },
  }
}

/** Null while some of it is missing. */
function bodyOf(received) {
  const end = received.indexOf(headEnd)
  if (end === -1) return null
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.toString('latin1', 0, end))?.[1]
  if (length === undefined) throw new Error(`an answer without a length: ${received.toString('latin1', 0, end)}`)
  const from = end + headEnd.length
  return received.length < from + Number(length) ? null : received.subarray(from, from + Number(length))
}

/** The text of one request. `headers`: lines that end in CRLF. */
export function requestText(method, path, headers, body) {
  const length = body === undefined ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`
  return `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}${length}\r\n${body ?? ''}`
}
