import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** An address that stands for a database server, now this one, now that one: a fail-over, as its clients see it. */
export interface TcpSwitch {
  /** The connection string given, by way of this address. */
  readonly connectionString: string
  /** Connections that are open are cut; new ones go to the server of `connectionString`. */
  turnTo(connectionString: string): void
  close(): Promise<void>
}

export async function startTcpSwitch(connectionString: string): Promise<TcpSwitch> {
  let target = new URL(connectionString)
  const sockets = new Set<Socket>()
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const url = new URL(connectionString)
  url.hostname = '127.0.0.1'
  url.port = String((listener.address() as AddressInfo).port)
  return {
    connectionString: url.toString(),
    turnTo(other) {
      target = new URL(other)
      cut()
    },
    async close() {
      cut()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}
