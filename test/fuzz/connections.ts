import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, AnswerReader, MalformedAnswerError } from './answers.ts'

/** What came back for bytes that had a connection of their own. */
export interface Exchange {
  readonly answers: readonly Answer[]
  /** The end of what was no answer. */
  readonly malformed: string | null
  /** The other side closed, reset included. */
  readonly closed: boolean
}

/** Bytes that may be no whole request: after this the end of them is told. */
const rawSilenceMs = 300
/** Streams and long answers are looked at no further. */
const lookedAtMax = 256 * 1024

/**
 * Sends bytes; settles with the first whole answer, or with what there is when nothing more comes for `silenceMs`, and for as
 * long again after the end of the bytes was told. `isRaw`: the bytes need be no whole request.
 */
export async function exchange(
  port: number,
  bytes: string,
  method: string,
  { isRaw, silenceMs }: { readonly isRaw: boolean; readonly silenceMs: number },
): Promise<Exchange> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const reader = new AnswerReader()
  const answers: Answer[] = []
  let malformed: string | null = null
  let closed = false
  let streamed = false
  let received = 0
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  const read = () => {
    try {
      for (let answer = reader.next(method); answer !== null; answer = reader.next(method)) answers.push(answer)
      const begun = reader.partial(method)
      streamed = begun !== null && ((isStream(begun) && begun.body.length > 0) || received > lookedAtMax)
    } catch (error) {
      if (!(error instanceof MalformedAnswerError)) throw error
      malformed = error.message
    }
    if (answers.length > 0 || streamed || malformed !== null) settle()
  }
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    reader.push(chunk)
    read()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    closed = true
    settle()
  })
  socket.on('end', () => socket.end())
  socket.write(Buffer.from(bytes, 'latin1'))
  await within(settled, isRaw ? rawSilenceMs : silenceMs)
  if (answers.length === 0 && !streamed && malformed === null && !closed) {
    socket.end()
    await within(settled, silenceMs)
  }
  const rest = malformed === null && answers.length === 0 ? reader.partial(method, closed) : null
  if (rest !== null) answers.push(rest)
  socket.destroy()
  return { answers, malformed, closed }
}

function isStream({ headers }: Answer): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  const over = new AbortController()
  await Promise.race([work, delay(ms, undefined, { signal: over.signal }).catch(() => undefined)])
  over.abort()
}

export interface Pipelined {
  readonly bytes: string
  readonly method: string
}

/** Keeps several requests at once on a connection that is kept, and makes another one when it is closed. */
export class Pipeline<Request extends Pipelined> {
  readonly #port: number
  readonly #depth: number
  readonly #silenceMs: number
  readonly #next: () => Request | null
  readonly #now: () => number
  readonly #onAnswer: (request: Request, answer: Answer, ms: number) => void
  /** The connection ended, or said what is no answer, with these on it; the first was to be answered. */
  readonly #onUnanswered: (requests: readonly Request[], reason: string) => void

  constructor(options: {
    readonly port: number
    readonly depth: number
    readonly silenceMs: number
    readonly next: () => Request | null
    /** Milliseconds of a clock that does not jump. */
    readonly now: () => number
    /** `ms`: since it was sent, and so with what those before it on the connection took. */
    readonly onAnswer: (request: Request, answer: Answer, ms: number) => void
    readonly onUnanswered: (requests: readonly Request[], reason: string) => void
  }) {
    this.#port = options.port
    this.#depth = options.depth
    this.#silenceMs = options.silenceMs
    this.#next = options.next
    this.#now = options.now
    this.#onAnswer = options.onAnswer
    this.#onUnanswered = options.onUnanswered
  }

  /** Until there is nothing more to send and all is answered. */
  async run(): Promise<void> {
    while (!(await this.#runOnce()));
  }

  /** One connection's life. True: there was nothing more to send. */
  #runOnce(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket: Socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
      const reader = new AnswerReader()
      const open: { readonly request: Request; readonly sentMs: number }[] = []
      let done = false
      let reason = 'the connection was closed without an answer'
      const fillUp = () => {
        let text = ''
        while (open.length < this.#depth && !done) {
          const request = this.#next()
          done = request === null
          if (request === null) break
          open.push({ request, sentMs: this.#now() })
          text += request.bytes
        }
        if (text !== '') socket.write(Buffer.from(text, 'latin1'))
        if (done && open.length === 0) socket.destroy()
      }
      socket.setTimeout(this.#silenceMs, () => {
        reason = `no answer within ${this.#silenceMs} ms`
        socket.destroy()
      })
      socket.on('data', (chunk: Buffer) => {
        reader.push(chunk)
        try {
          for (let first = open[0]; first !== undefined; first = open[0]) {
            const answer = reader.next(first.request.method)
            if (answer === null) break
            open.shift()
            this.#onAnswer(first.request, answer, this.#now() - first.sentMs)
          }
          if (open.length === 0 && !reader.isEmpty) throw new MalformedAnswerError('more came than was asked for')
        } catch (error) {
          if (!(error instanceof MalformedAnswerError)) throw error
          reason = error.message
          socket.destroy()
          return
        }
        fillUp()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => {
        if (open.length > 0)
          this.#onUnanswered(
            open.map(({ request }) => request),
            reason,
          )
        resolve(done)
      })
      fillUp()
    })
  }
}
