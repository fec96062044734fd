import { connect, createServer, type Socket } from 'node:net'

/** The way between a client and its server, to be cut in all the ways a network can be. */
export interface FaultyNetwork {
  /** The connection string given, by way of this network. */
  readonly connectionString: string
  /** Connections that are open now. */
  readonly open: number
  /** The client sees its connections reset; the server is told nothing and keeps its ends. */
  loseClients(): void
  /** Both ends see their connections end. */
  cut(): void
  /** Nothing is carried any more, either way, and nobody is told; connections made from now on work. */
  stall(): void
  /** New connections are refused from now on. */
  refuse(): void
  /** The opposite. */
  accept(): void
  close(): Promise<void>
}

export async function createFaultyNetwork(connectionString: string): Promise<FaultyNetwork> {
  const target = new URL(connectionString)
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let refusing = false
  // What it is given it passes on at once: small writes would wait for one another, 40 ms each.
  const listener = createServer({ noDelay: true }, (client) => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect({ port: Number(target.port), host: target.hostname, noDelay: true })
    const pair = { client, server }
    pairs.add(pair)
    client.on('error', () => undefined)
    server.on('error', () => undefined)
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => client.write(bytes))
    const end = () => {
      if (!pairs.delete(pair)) return
      client.destroy()
      server.destroy()
    }
    client.on('close', end)
    server.on('close', end)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('The listener has no port')
  const url = new URL(connectionString)
  url.hostname = '127.0.0.1'
  url.port = String(address.port)
  const orphans: Socket[] = []

  return {
    connectionString: url.toString(),
    get open() {
      return pairs.size
    },
    loseClients() {
      for (const pair of pairs) {
        pairs.delete(pair)
        orphans.push(pair.server)
        pair.client.resetAndDestroy()
      }
    },
    cut() {
      for (const { client, server } of pairs) {
        client.resetAndDestroy()
        server.resetAndDestroy()
      }
    },
    stall() {
      for (const pair of pairs) {
        pairs.delete(pair)
        orphans.push(pair.client, pair.server)
        pair.client.removeAllListeners('data').pause()
        pair.server.removeAllListeners('data').pause()
      }
    },
    refuse() {
      refusing = true
    },
    accept() {
      refusing = false
    },
    async close() {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      for (const orphan of orphans) orphan.destroy()
      await new Promise<void>((resolve) => {
        listener.close(() => resolve())
      })
    },
  }
}
