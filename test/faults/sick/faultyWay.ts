import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `pass`: carries everything. `delay`: carries it late. `reset`: connections are reset, new ones too. `cutInCommit`: an append
 * reaches the server whole, and both see their connection end before the answer. `cutUnheard`: the client does; the server is
 * told nothing. `halfCommit`: half of an append
 * reaches the server, then both see a reset. `halfOpen`: what the client sends arrives, no answer comes back, and nobody is
 * told. `blackHole`: nothing arrives anywhere, and nobody is told.
 */
export type WayMode =
  | 'pass'
  | 'delay'
  | 'reset'
  | 'cutInCommit'
  | 'cutUnheard'
  | 'halfCommit'
  | 'halfOpen'
  | 'blackHole'

/** After so long the server finds out that nobody is there: tcp_keepalives_* of the service's sessions. */
const keepaliveMs = 11_000

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** What is on its way, by whom it goes to: nothing overtakes it. */
  readonly late: Map<Socket, { readonly atMs: number; readonly bytes: Buffer }[]>
  /** Nothing came through while it stood so: its bytes are lost, and it is of no use any more. */
  lost: boolean
}

/** Named in every message that appends; a new session sends one with nothing in it, which is shorter than any other. */
const appendStatement = Buffer.from('waybill_append')
const appendBytesMin = 600

/** The way between a node and its database server, or between two servers, to be made bad and good again. */
export class FaultyWay {
  /** The connection string given, by way of this. */
  readonly connectionString: string
  readonly #listener: Server
  readonly #pairs = new Set<Pair>()
  #target: URL
  #mode: WayMode = 'pass'
  #delayMs = 0

  static async to(connectionString: string): Promise<FaultyWay> {
    const listener = createServer()
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    return new FaultyWay(listener, connectionString)
  }

  private constructor(listener: Server, target: string) {
    this.#listener = listener
    this.#target = new URL(target)
    const url = new URL(target)
    url.hostname = '127.0.0.1'
    url.port = String((listener.address() as AddressInfo).port)
    this.connectionString = url.toString()
    listener.on('connection', (client) => this.#join(client))
  }

  set(mode: WayMode, delayMs = 0): void {
    this.#mode = mode
    this.#delayMs = delayMs
    if (mode === 'reset') for (const pair of this.#pairs) reset(pair)
    // What was swallowed is missing in the stream of bytes: such a connection must not come to life again.
    if (mode === 'pass') for (const pair of this.#pairs) if (pair.lost) reset(pair)
  }

  /** New connections go there; those that are open are reset. */
  turnTo(connectionString: string): void {
    this.#target = new URL(connectionString)
    for (const pair of this.#pairs) reset(pair)
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) reset(pair)
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #join(client: Socket): void {
    if (this.#mode === 'reset') {
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const server = connect(Number(this.#target.port), this.#target.hostname)
    const pair: Pair = { client, server, late: new Map(), lost: false }
    this.#pairs.add(pair)
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => undefined)
      one.on('data', (bytes) => this.#carry(pair, other, bytes))
      one.on('close', () => {
        this.#pairs.delete(pair)
        other.destroy()
      })
    }
  }

  #carry(pair: Pair, to: Socket, bytes: Buffer): void {
    const forwards = to === pair.server
    switch (this.#mode) {
      case 'pass':
      case 'reset':
      case 'delay':
        this.#send(pair, to, bytes)
        return
      case 'cutInCommit':
      case 'cutUnheard':
        this.#send(pair, to, bytes)
        if (forwards && isAppend(bytes)) this.#cutClient(pair)
        return
      case 'halfCommit':
        if (!forwards || !isAppend(bytes)) this.#send(pair, to, bytes)
        else to.write(bytes.subarray(0, bytes.length >> 1), () => reset(pair))
        return
      case 'halfOpen':
        if (forwards) this.#send(pair, to, bytes)
        else pair.lost = true
        return
      case 'blackHole':
        pair.lost = true
    }
  }

  /** In order, as TCP does it, whatever the mode was a moment ago. */
  #send({ late }: Pair, to: Socket, bytes: Buffer): void {
    const waiting = late.get(to) ?? []
    if (this.#delayMs === 0 && waiting.length === 0) {
      to.write(bytes)
      return
    }
    waiting.push({ atMs: performance.now() + this.#delayMs, bytes })
    late.set(to, waiting)
    if (waiting.length === 1) this.#sendLate(waiting, to)
  }

  #sendLate(waiting: { readonly atMs: number; readonly bytes: Buffer }[], to: Socket): void {
    const [next] = waiting
    if (next === undefined) return
    const leftMs = next.atMs - performance.now()
    if (leftMs > 0) {
      setTimeout(() => this.#sendLate(waiting, to), leftMs)
      return
    }
    if (to.writable) to.write(next.bytes)
    waiting.shift()
    this.#sendLate(waiting, to)
  }

  /** The server goes on, and answers into the void until it notices: by a word, or as its keepalive would. */
  #cutClient({ client, server }: Pair): void {
    client.removeAllListeners('close')
    client.resetAndDestroy()
    server.removeAllListeners('data').resume()
    if (this.#mode === 'cutInCommit') server.end()
    else setTimeout(() => server.destroy(), keepaliveMs).unref()
  }
}

function isAppend(bytes: Buffer): boolean {
  return bytes.length >= appendBytesMin && bytes.includes(appendStatement)
}

function reset({ client, server }: Pair): void {
  client.resetAndDestroy()
  server.resetAndDestroy()
}
