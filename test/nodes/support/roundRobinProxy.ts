import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What stands in front of the nodes: each request goes to the next of them. It repeats nothing by itself. */
export interface RoundRobinProxy {
  readonly url: string
  /** From the next request on. */
  add(url: string): void
  remove(url: string): void
  close(): Promise<void>
}

/**
 * When a node's connection breaks under a request, so does the client's: only the client knows whether to send again. A
 * request that could not even be sent goes to the next node.
 */
export async function startRoundRobinProxy(urls: readonly string[]): Promise<RoundRobinProxy> {
  const nodes = [...urls]
  const agent = new Agent({ keepAlive: true })
  let turn = 0

  function carry(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer, triesLeft: number): void {
    turn += 1
    const node = nodes[turn % nodes.length]
    if (node === undefined) return void outgoing.destroy()
    const { hostname, port } = new URL(node)
    const { method, url: path, headers } = incoming
    const onward = request({ agent, hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'x-node': node })
      answer.on('error', () => outgoing.destroy())
      answer.pipe(outgoing)
    })
    onward.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' && triesLeft > 0) carry(incoming, outgoing, body, triesLeft - 1)
      else outgoing.destroy()
    })
    onward.end(body)
  }

  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => carry(incoming, outgoing, Buffer.concat(chunks), nodes.length))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    add: (url) => void nodes.push(url),
    remove(url) {
      const place = nodes.indexOf(url)
      if (place !== -1) nodes.splice(place, 1)
    },
    async close() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
