import { createServer, type IncomingMessage, request as outgoing, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { answerClientError } from '../../src/api/clientError.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface Told {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Hands requests on to a service, and its answers back: changed where a test plants a fault. Null: as it is. */
export async function startPlantingProxy(
  upstreamPort: number,
  plant: (seen: Seen, told: Told) => Partial<Told> | null | Promise<Partial<Told> | null>,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const handOn = (incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    incoming.on('error', () => undefined)
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      // Node's client refuses to send a `Trailer` with a body of a known length.
      const { trailer: _, ...headers } = incoming.headers
      const { method = '', url = '' } = incoming
      const seen = { method, url, headers, body: Buffer.concat(chunks).toString('latin1') }
      const ask = () => {
        const upstream = outgoing({ port: upstreamPort, host: '127.0.0.1', method, path: url, headers }, (answer) => {
          const { statusCode: status = 0, headers: answered } = answer
          // Streams go on, and are none of the proxy's business.
          if (answered['content-type'] === 'text/event-stream') {
            response.writeHead(status, answered)
            answer.pipe(response)
            response.on('close', () => answer.destroy())
            return
          }
          const parts: Buffer[] = []
          answer.on('data', (chunk: Buffer) => parts.push(chunk))
          answer.on('end', async () => {
            const told = { status, headers: answered, body: Buffer.concat(parts).toString('latin1') }
            const { status: code, headers: sent, body } = { ...told, ...(await plant(seen, told)) }
            const isBodiless = method === 'HEAD' || code === 204 || code === 304
            for (const [name, value] of Object.entries(sent)) {
              if (value !== undefined && name !== 'transfer-encoding' && name !== 'content-length')
                response.setHeader(name, value)
            }
            response.writeHead(code, isBodiless ? {} : { 'content-length': body.length })
            response.end(isBodiless ? undefined : Buffer.from(body, 'latin1'))
          })
        })
        upstream.on('error', () => {
          // A kept connection that the service had just closed.
          if (upstream.reusedSocket) ask()
          else response.destroy()
        })
        upstream.end(Buffer.from(seen.body, 'latin1'))
      }
      ask()
    })
  }
  const server = createServer({ requireHostHeader: false }, handOn)
  // Node would answer it by itself.
  server.on('checkExpectation', handOn)
  server.on('clientError', (error, socket) => answerClientError(error, socket as Socket))
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
