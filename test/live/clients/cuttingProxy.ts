import { connect, createServer, type Socket } from 'node:net'

/** What becomes of one connection: it is let through, or cut where its answer's body, as far as it has come, says. */
export type Fate = 'through' | CutAt

/** After how many bytes of the body; null: not yet. */
export type CutAt = (body: string) => number | null

export interface CuttingProxy {
  readonly url: string
  /** Connections so far. */
  readonly connections: number
  /** Where connections go from now on. */
  upstreamPort: number
  close(): Promise<void>
}

const endOfHead = Buffer.from('\r\n\r\n')

/** A way to a server that decides for each connection, in order, where its answer ends. */
export async function startCuttingProxy(
  upstreamPort: number,
  fateOf: (connection: number) => Fate | Promise<Fate>,
): Promise<CuttingProxy> {
  const sockets = new Set<Socket>()
  let connections = 0
  let port = upstreamPort
  const carry = (client: Socket, fate: Fate) => {
    const server = connect({ port, host: '127.0.0.1', noDelay: true })
    const end = () => {
      for (const socket of [client, server]) {
        sockets.delete(socket)
        socket.destroy()
      }
    }
    sockets.add(server)
    for (const socket of [client, server]) socket.on('error', () => undefined).on('close', end)
    client.on('data', (bytes) => server.write(bytes))
    if (fate === 'through') server.on('data', (bytes) => client.write(bytes))
    else carryUntilCut(server, client, fate, end)
  }
  const listener = createServer({ noDelay: true }, (client) => {
    const number = connections
    connections += 1
    sockets.add(client)
    client.on('error', () => undefined)
    void Promise.resolve(fateOf(number)).then((fate) => {
      if (!client.destroyed) carry(client, fate)
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('The listener has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    get connections() {
      return connections
    },
    get upstreamPort() {
      return port
    },
    set upstreamPort(value) {
      port = value
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}

function carryUntilCut(server: Socket, client: Socket, cutAt: CutAt, end: () => void): void {
  let received = Buffer.alloc(0)
  let carried = 0
  server.on('data', (bytes: Buffer) => {
    received = Buffer.concat([received, bytes])
    const headEnd = received.indexOf(endOfHead)
    if (headEnd === -1) return
    const bodyAt = headEnd + endOfHead.length
    const cut = cutAt(received.subarray(bodyAt).toString('latin1'))
    const upTo = cut === null ? received.length : Math.min(received.length, bodyAt + cut)
    const isCut = cut !== null && upTo === bodyAt + cut
    if (isCut) server.removeAllListeners('data')
    client.write(received.subarray(carried, upTo), isCut ? end : () => undefined)
    carried = upTo
  })
}
