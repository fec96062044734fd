import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Makes the request of a number, and is told of its answer. */
export interface FloodRequests {
  bytes(number: number): string
  onAnswer(number: number, status: number, body: Buffer, ms: number): void
  /** The connection ended before: nobody knows. */
  onLost(number: number): void
}

export interface FloodTotals {
  /** That were due. */
  readonly offered: number
  readonly sent: number
  /** By status; `lost`: connections that ended without an answer. */
  readonly statuses: Readonly<Record<string, number>>
  /** 503 or 429 without `Retry-After`. */
  readonly withoutRetryAfter: number
  readonly seconds: number
}

export interface FloodOptions {
  readonly port: number
  readonly connections: number
  /** Requests a connection carries at once. */
  readonly pipelined: number
  /** Requests a second that become due whatever is answered; null: as fast as answers come. */
  readonly perSecond: number | null
  readonly seconds: number
  readonly requests: FloodRequests
  /** Number of the first request. */
  readonly from?: number
}

const tickMs = 5
/** What is under way at the end has so long to be answered. */
const endingMsMax = 30_000

/**
 * Requests become due at their rate, whatever the service does: an open loop. One that is due goes out as soon as one of
 * the connections has room; what finds none in a tick is offered, and not sent.
 */
export async function flood(options: FloodOptions): Promise<FloodTotals> {
  const { port, connections, pipelined, perSecond, seconds, requests, from = 0 } = options
  const statuses: Record<string, number> = {}
  const count = (status: string) => {
    statuses[status] = (statuses[status] ?? 0) + 1
  }
  let withoutRetryAfter = 0
  let offered = 0
  let sent = 0
  let number = from
  let ended = false
  const idle: Carrier[] = []
  const carriers: Carrier[] = []
  const startedMs = performance.now()

  const events: CarrierEvents = {
    onAnswer(one, status, retryAfter, body, ms) {
      count(String(status))
      if ((status === 503 || status === 429) && !retryAfter) withoutRetryAfter += 1
      requests.onAnswer(one, status, body, ms)
    },
    onLost(one) {
      count('lost')
      requests.onLost(one)
    },
    onRoom(carrier) {
      if (ended) return
      if (perSecond === null) send(carrier)
      else idle.push(carrier)
    },
  }
  function send(carrier: Carrier): void {
    carrier.send(number, requests.bytes(number))
    number += 1
    sent += 1
  }
  for (let n = 0; n < connections; n += 1) {
    const carrier = new Carrier(port, pipelined, events)
    carriers.push(carrier)
  }
  // Not all in one turn: the other side has a queue of so many that it has not taken.
  for (let n = 0; n < carriers.length; n += 200) {
    await Promise.all(carriers.slice(n, n + 200).map((carrier) => carrier.open()))
  }
  const beganMs = performance.now()
  for (const carrier of carriers) for (let n = 0; n < pipelined; n += 1) events.onRoom(carrier)
  while (performance.now() - beganMs < seconds * 1_000) {
    await delay(tickMs)
    if (perSecond === null) continue
    const due = Math.floor(((performance.now() - beganMs) / 1_000) * perSecond)
    for (let room = idle.length; room > 0 && offered < due; room -= 1) {
      const carrier = idle.shift()
      if (carrier?.isOpen !== true) continue
      send(carrier)
      offered += 1
    }
    offered = due
  }
  ended = true
  if (perSecond === null) offered = sent
  const deadlineMs = performance.now() + endingMsMax
  while (carriers.some((carrier) => carrier.isBusy) && performance.now() < deadlineMs) await delay(tickMs)
  for (const carrier of carriers) carrier.close()
  return { offered, sent, statuses, withoutRetryAfter, seconds: (performance.now() - startedMs) / 1_000 }
}

interface CarrierEvents {
  onAnswer(number: number, status: number, retryAfter: boolean, body: Buffer, ms: number): void
  onLost(number: number): void
  onRoom(carrier: Carrier): void
}

const headEnd = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('\r\n0\r\n\r\n')
const lineBreakLength = 2

/** One connection. */
class Carrier {
  readonly #port: number
  readonly #pipelined: number
  readonly #events: CarrierEvents
  readonly #open: { readonly number: number; readonly sentMs: number }[] = []
  #socket: Socket | null = null
  #bytes: Buffer = Buffer.alloc(0)
  #closed = false

  constructor(port: number, pipelined: number, events: CarrierEvents) {
    this.#port = port
    this.#pipelined = pipelined
    this.#events = events
  }

  get isOpen(): boolean {
    return this.#socket !== null && this.#open.length < this.#pipelined
  }

  get isBusy(): boolean {
    return this.#socket !== null && this.#open.length > 0
  }

  open(): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
      this.#socket = socket
      socket.on('connect', () => resolve())
      socket.on('error', () => undefined)
      socket.on('data', (chunk: Buffer) => this.#take(chunk))
      socket.on('close', () => {
        this.#socket = null
        this.#bytes = Buffer.alloc(0)
        for (const { number } of this.#open.splice(0)) this.#events.onLost(number)
        resolve()
        if (!this.#closed) void this.open()
      })
    })
  }

  send(number: number, bytes: string): void {
    this.#open.push({ number, sentMs: performance.now() })
    this.#socket?.write(bytes, 'latin1')
  }

  close(): void {
    this.#closed = true
    this.#socket?.destroy()
  }

  /** Null: it is not there yet. A chunked answer's lines are JSON, which holds no line break. */
  #endOfAnswer(head: string, from: number): number | null {
    if (/\r\ntransfer-encoding: chunked/i.test(head)) {
      const last = this.#bytes.indexOf(lastChunk, from - lineBreakLength)
      return last === -1 ? null : last + lastChunk.length
    }
    return from + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  }

  #take(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const end = this.#bytes.indexOf(headEnd)
      if (end === -1) return
      const head = this.#bytes.toString('latin1', 0, end)
      const whole = this.#endOfAnswer(head, end + headEnd.length)
      if (whole === null || this.#bytes.length < whole) return
      const body = this.#bytes.subarray(end + headEnd.length, whole)
      this.#bytes = this.#bytes.subarray(whole)
      const first = this.#open.shift()
      // 408, to a connection that has been there for long and has had nothing to send yet.
      if (first === undefined) return
      const ms = performance.now() - first.sentMs
      this.#events.onAnswer(first.number, Number(head.slice(9, 12)), /\r\nretry-after: [1-9]/i.test(head), body, ms)
      this.#events.onRoom(this)
    }
  }
}
