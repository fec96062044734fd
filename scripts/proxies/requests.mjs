// Requests to a proxy whose certificate is verified, by HTTP/1.1 and HTTP/2, as one interface: an upload can be written while
// its answer is read, and a request can be left.
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import { serverName } from './programs.mjs'

/** What must come is waited for so long. Below the proxies' own 75 s: what ends then has not ended by their time-outs. */
export const patienceMs = 60_000

/** A client of one proxy. `close` ends what it has open. */
export function clientOf(port, authority, protocol) {
  return protocol === 'HTTP/2' ? overHttp2(port, authority) : overHttp1(port, authority)
}

function overHttp1(port, authority) {
  const agent = new https.Agent({ keepAlive: true, ca: authority, servername: serverName })
  return {
    protocol: 'HTTP/1.1',
    open(method, path, headers = {}) {
      const request = https.request({
        agent,
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: { host: serverName, ...headers },
      })
      if (method === 'GET') request.end()
      const answer = once(request, 'response').then(([response]) => ({ status: response.statusCode, stream: response }))
      return opened(request, answer)
    },
    close: () => agent.destroy(),
  }
}

function overHttp2(port, authority) {
  let session
  // As every client does: a proxy ends a session that nobody has used for a while, and the next request begins another.
  const open = () => {
    if (session === undefined || session.closed || session.destroyed) {
      session = http2.connect(`https://127.0.0.1:${port}`, { ca: authority, servername: serverName })
      session.on('error', () => undefined)
    }
    return session
  }
  return {
    protocol: 'HTTP/2',
    open(method, path, headers = {}) {
      const names = { ':method': method, ':path': path, ':authority': serverName }
      const request = open().request({ ...names, ...headers }, { endStream: method === 'GET' })
      const answer = once(request, 'response').then(([response]) => ({ status: response[':status'], stream: request }))
      return opened(request, answer)
    },
    close: () => session?.destroy(),
  }
}

/** `text` reads the next of the answer until it holds what is looked for, and returns all that came so far. */
function opened(request, answer) {
  let text = ''
  let reading
  const parts = answer.then(({ stream }) => stream.setEncoding('utf8')[Symbol.asyncIterator]())
  // Whoever leaves a request does not wait for its answer.
  answer.catch(() => undefined)
  parts.catch(() => undefined)
  request.on('error', () => undefined)
  const next = async () => (await parts).next()
  return {
    status: async (msMax = patienceMs) => (await within(answer, 'an answer', msMax)).status,
    write: (chunk) => request.write(chunk),
    drained: () => once(request, 'drain'),
    end: (chunk) => request.end(chunk),
    leave: () => request.destroy(),
    async text(wanted, msMax = patienceMs) {
      const hasCome = typeof wanted === 'string' ? () => text.includes(wanted) : () => wanted(text)
      while (!hasCome()) {
        reading ??= next()
        const { value, done } = await within(reading, `${wanted} in ${JSON.stringify(text.slice(-300))}`, msMax)
        reading = undefined
        if (done) throw new Error(`The answer ended without ${wanted}: ${text.slice(-300)}`)
        text += value
      }
      return text
    },
    async whole(msMax = patienceMs) {
      for (;;) {
        reading ??= next()
        const { value, done } = await within(reading, 'the end of the answer', msMax)
        reading = undefined
        if (done) return text
        text += value
      }
    },
  }
}

/** A whole exchange. */
export async function ask(client, method, path, { headers = {}, body } = {}, msMax = patienceMs) {
  const request = client.open(method, path, headers)
  if (method !== 'GET') request.end(body)
  const status = await request.status(msMax)
  return { status, text: await request.whole(msMax) }
}

export async function within(promise, what, msMax = patienceMs) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`In vain, for ${msMax / 1_000} s: ${what}`)), msMax)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
