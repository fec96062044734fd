import { Agent, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSseReader, type SseMessage } from '../../src/client/sse.ts'
import { type ApiHarness, type HarnessOptions, startApi } from '../api/apiHarness.ts'
import { patienceMs } from '../support/patience.ts'

export interface LiveHarness extends ApiHarness {
  readonly port: number
  /** Opens a stream. Rejects with the status when it is not 200. */
  open(path: string, headers?: Record<string, string>): Promise<Reader>
  /** Reports to operation `id`, opened in pipeline `any` if need be; resolves with the answer's body. */
  report(id: string, status: string, more?: object): Promise<{ readonly position: string; readonly revision: number }>
}

export interface Reader {
  /** Without those that only say how far the stream has come. */
  readonly messages: SseMessage[]
  readonly headers: IncomingMessage['headers']
  /** All that came, comments too. */
  readonly text: () => string
  lastId(): string
  readonly retryMs: () => number | null
  /** Resolves when `enough` holds; rejects when the stream ends before or 10 s have passed. */
  until(enough: (messages: readonly SseMessage[]) => boolean): Promise<readonly SseMessage[]>
  /** Resolves with true when it ended in order, false when it was cut. */
  readonly ended: Promise<boolean>
  close(): void
  pause(): void
  resume(): void
}

const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY })

export async function startLive(options: HarnessOptions = {}): Promise<LiveHarness> {
  const api = await startApi(options)
  await api.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = api.app.server.address() as AddressInfo
  return {
    ...api,
    port,
    open: (path, headers = {}) => openStream(port, path, headers),
    async report(id, status, more = {}) {
      const answer = await api.send('POST', `/v1/operations/${id}/reports`, {
        service: 'svc',
        status,
        pipeline: 'any',
        ...more,
      })
      if (answer.status >= 300) throw new Error(answer.text)
      return answer.body
    },
  }
}

export function openStream(port: number, path: string, headers: Record<string, string> = {}): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', path, headers: { accept: 'text/event-stream', ...headers }, agent })
    request.once('error', reject)
    request.once('response', (response) => {
      response.setEncoding('utf8')
      if (response.statusCode === 200) resolve(readerOf(response, headers['last-event-id'] ?? ''))
      else {
        let body = ''
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => reject(Object.assign(new Error(body), { status: response.statusCode, body })))
      }
    })
  })
}

function readerOf(response: IncomingMessage, firstId: string): Reader {
  const sse = createSseReader(firstId)
  const messages: SseMessage[] = []
  const watchers = new Set<() => void>()
  let text = ''
  let over = false
  response.on('data', (chunk: string) => {
    text += chunk
    messages.push(...sse.push(chunk).filter(({ event }) => event !== 'position'))
    for (const watch of watchers) watch()
  })
  response.on('error', () => undefined)
  const ended = new Promise<boolean>((settle) => {
    response.once('close', () => {
      over = true
      settle(response.complete)
      for (const watch of watchers) watch()
    })
  })
  return {
    messages,
    headers: response.headers,
    text: () => text,
    lastId: () => sse.lastId,
    retryMs: () => sse.retryMs,
    ended,
    until(enough) {
      return new Promise((resolve, reject) => {
        const settle = (error: Error | null) => {
          clearTimeout(timer)
          watchers.delete(watch)
          if (error === null) resolve(messages)
          else reject(error)
        }
        const watch = () => {
          if (enough(messages)) settle(null)
          else if (over) settle(new Error(`the stream ended after ${messages.length} messages`))
        }
        const timer = setTimeout(
          () => settle(new Error(`waited in vain; ${messages.length} messages: ${text.slice(-500)}`)),
          patienceMs,
        )
        watchers.add(watch)
        watch()
      })
    },
    close: () => response.destroy(),
    pause: () => response.pause(),
    resume: () => response.resume(),
  }
}

export function dataOf(message: SseMessage | undefined): ReturnType<typeof JSON.parse> {
  if (message === undefined) throw new Error('there is no message')
  return JSON.parse(message.data)
}
