import { connect, type Socket } from 'node:net'

/** Clients that do what none should, all at once. */
export interface Nuisance {
  readonly name: string
  readonly count: { readonly short: number; readonly long: number }
  /**
   * How it ends: `cut`: the service ends each within the time its configuration says, and this long after it; `kept`: they
   * may stay, and take no more than they have.
   */
  readonly end: 'cut' | 'kept'
  /** What is sent when the connection is there. */
  readonly first: string
  /** What goes on being sent, again and again; null: nothing. */
  readonly more: { readonly bytes: string; readonly everyMs: number } | null
  /** False: what comes is not taken. */
  readonly reads: boolean
}

const bulk =
  'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n'
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const report =
  'POST /v1/operations/nuisance/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{'
const stream = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

export const nuisances: readonly Nuisance[] = [
  { name: 'idle connections', count: { short: 2_000, long: 10_000 }, end: 'cut', first: '', more: null, reads: true },
  {
    name: 'headers that trickle in',
    count: { short: 500, long: 2_000 },
    end: 'cut',
    first: 'GET /livez HTTP/1.1\r\nHost: localhost\r\n',
    more: { bytes: 'X-A: b\r\n', everyMs: 500 },
    reads: true,
  },
  {
    name: 'bodies that trickle in',
    count: { short: 500, long: 2_000 },
    end: 'cut',
    first: report,
    more: { bytes: ' ', everyMs: 500 },
    reads: true,
  },
  {
    name: 'bulk uploads that stand still',
    count: { short: 500, long: 2_000 },
    end: 'cut',
    first: bulk + chunk('{"type":'),
    more: null,
    reads: true,
  },
  {
    name: 'bulk uploads without an end',
    count: { short: 50, long: 200 },
    end: 'kept',
    first: bulk,
    more: { bytes: chunk('{"type":"Nothing"}\n'.repeat(20)), everyMs: 500 },
    reads: true,
  },
  {
    name: 'bulk lines without an end',
    count: { short: 20, long: 50 },
    end: 'kept',
    first: bulk,
    more: { bytes: chunk('x'.repeat(60_000)), everyMs: 100 },
    reads: true,
  },
  {
    name: 'bulk uploads whose results nobody reads',
    count: { short: 20, long: 100 },
    end: 'cut',
    first: bulk,
    more: { bytes: chunk('{"type":"Nothing"}\n'.repeat(1_000)), everyMs: 20 },
    reads: false,
  },
  {
    name: 'live streams of operations',
    count: { short: 1_000, long: 5_000 },
    end: 'kept',
    first: stream('/v1/operations/stream?after=head'),
    more: null,
    reads: true,
  },
  {
    name: 'live streams of events',
    count: { short: 1_000, long: 5_000 },
    end: 'kept',
    first: stream('/v1/events/stream?after=head'),
    more: null,
    reads: true,
  },
  {
    name: 'live streams that nobody reads',
    count: { short: 200, long: 500 },
    end: 'kept',
    first: stream('/v1/events/stream'),
    more: null,
    reads: false,
  },
]

/** The clients of one nuisance. */
export class Mob {
  readonly #sockets: Socket[] = []
  readonly #clocks: NodeJS.Timeout[] = []
  /** Ended by the service. */
  ended = 0
  /** Of those that were sent something: first lines of answers, by status. */
  readonly statuses: Record<string, number> = {}

  static async gather(nuisance: Nuisance, count: number, port: number): Promise<Mob> {
    const mob = new Mob()
    for (let n = 0; n < count; n += 100) {
      await Promise.all(Array.from({ length: Math.min(100, count - n) }, () => mob.#join(nuisance, port)))
    }
    return mob
  }

  #join({ first, more, reads }: Nuisance, port: number): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' })
      this.#sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.ended += 1
        resolve()
      })
      // An answer's first line, and no more of it.
      socket.once('data', (bytes: Buffer) => {
        const status = bytes.toString('latin1', 9, 12)
        this.statuses[status] = (this.statuses[status] ?? 0) + 1
      })
      if (!reads) socket.pause()
      socket.on('connect', () => {
        socket.write(first, 'latin1')
        if (more !== null) {
          const clock = setInterval(() => {
            // Nothing piles up here: what the service does not take is not sent.
            if (socket.writable && !socket.writableNeedDrain) socket.write(more.bytes, 'latin1')
          }, more.everyMs)
          socket.once('close', () => clearInterval(clock))
          this.#clocks.push(clock)
        }
        resolve()
      })
    })
  }

  get open(): number {
    return this.#sockets.length - this.ended
  }

  disperse(): void {
    for (const clock of this.#clocks) clearInterval(clock)
    for (const socket of this.#sockets) socket.destroy()
  }
}
