import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** What happens to one POST on its way to the service or back. `part`: how much of the answer arrives, 0 to 1. */
export type Fault =
  | { readonly kind: 'pass' | 'cutBefore' | 'cutAfter' | 'late' | 'silent' | 'drip' }
  | { readonly kind: 'cutDuring' | 'endEarly' | 'garbageLine'; readonly part: number }
  | { readonly kind: 'overloaded' | 'tooMany' | 'proxyPage' | 'badGateway' | 'garbage' | 'redirect' }

/** Stands between a client and the service, and does to each POST in turn what its script says; then passes them on. */
export interface MisbehavingServer {
  readonly url: string
  /** Faults not met yet. Added to by tests. */
  readonly script: Fault[]
  /** Called before a request is passed on to the service. */
  beforeForward: () => void
  readonly posts: number
  /** Resolves when a request that is under way, or arrives within a tick, has come to its end. */
  answered(): Promise<void>
  /** Delivers what was kept back; resolves when the service has answered all of it. */
  deliverLate(): Promise<void>
  close(): Promise<void>
}

interface Held {
  readonly message: IncomingMessage
  readonly body: Buffer
}

export async function startMisbehavingServer(upstream: string): Promise<MisbehavingServer> {
  const script: Fault[] = []
  const late: Held[] = []
  const underWay = new Set<Promise<unknown>>()
  let posts = 0

  const server = createServer((message, response) => {
    const work = serve(message, response).catch(() => response.destroy())
    underWay.add(work)
    void work.finally(() => underWay.delete(work))
  })

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    if (message.method !== 'POST') return pass({ message, body: await bodyOf(message) }, response)
    posts += 1
    const fault = script.shift() ?? { kind: 'pass' }
    if (fault.kind === 'cutBefore') return void response.socket?.resetAndDestroy()
    const held = { message, body: await bodyOf(message) }
    const again = late.splice(0)
    await misbehave(fault, held, response)
    // What was kept back arrives after a later request: its sender has long sent it again.
    for (const one of again) await forward(one)
  }

  async function misbehave(fault: Fault, held: Held, response: ServerResponse): Promise<void> {
    switch (fault.kind) {
      case 'late':
        late.push(held)
        response.destroy()
        return
      case 'silent':
        await new Promise((resolve) => response.once('close', resolve))
        return
      case 'cutAfter':
        await forward(held)
        response.destroy()
        return
      case 'cutDuring':
      case 'endEarly':
      case 'garbageLine': {
        const answer = await forward(held)
        response.writeHead(answer.status, { 'content-type': answer.type })
        const part = answer.body.subarray(0, Math.floor(answer.body.length * fault.part))
        if (fault.kind === 'cutDuring') return void response.write(part, () => response.destroy())
        response.end(fault.kind === 'endEarly' ? part : Buffer.concat([part, Buffer.from('\n<html>\n{"operation":\n')]))
        return
      }
      case 'drip': {
        const answer = await forward(held)
        response.writeHead(answer.status, { 'content-type': answer.type })
        const step = Math.max(1, Math.floor(answer.body.length / 40))
        for (let at = 0; at < answer.body.length; at += step) {
          response.write(answer.body.subarray(at, at + step))
          await new Promise(setImmediate)
        }
        response.end()
        return
      }
      case 'overloaded':
      case 'tooMany': {
        const status = fault.kind === 'overloaded' ? 503 : 429
        response.writeHead(status, { 'content-type': 'application/problem+json', 'retry-after': '0' })
        const code = fault.kind === 'overloaded' ? 'overloaded' : 'rate_limited'
        response.end(JSON.stringify({ type: 'about:blank', title: '', status, detail: 'Later.', instance: '/', code }))
        return
      }
      case 'proxyPage':
        return void response.writeHead(503, { 'content-type': 'text/html' }).end('<html>')
      case 'badGateway':
        await forward(held)
        return void response.writeHead(502, { 'content-type': 'text/html' }).end('<html>')
      case 'garbage':
        return void response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('{"a":1}\nnull\n7')
      case 'redirect':
        return void response.writeHead(307, { location: '/elsewhere' }).end()
      default:
        return pass(held, response)
    }
  }

  async function pass(held: Held, response: ServerResponse): Promise<void> {
    const answer = await forward(held)
    response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body)
  }

  function forward({ message, body }: Held) {
    running.beforeForward()
    const { host: _host, connection: _connection, ...headers } = message.headers
    return new Promise<{ status: number; type: string; body: Buffer }>((resolve, reject) => {
      const onward = request(new URL(message.url ?? '/', upstream), { method: message.method, headers }, (answer) => {
        bodyOf(answer).then((bytes) => {
          // Without its Retry-After, which would only make the tests wait.
          resolve({ status: answer.statusCode ?? 500, type: answer.headers['content-type'] ?? '', body: bytes })
        }, reject)
      })
      onward.on('error', reject)
      onward.end(body)
    })
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  const running: MisbehavingServer = {
    url: `http://127.0.0.1:${address.port}`,
    script,
    beforeForward: () => undefined,
    get posts() {
      return posts
    },
    async answered() {
      await new Promise((resolve) => setTimeout(resolve, 1))
      await Promise.race([...underWay, new Promise(setImmediate)])
    },
    async deliverLate() {
      await Promise.all(underWay)
      for (const held of late.splice(0)) await forward(held)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return running
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}
