import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest, LightMyRequestResponse, RouteOptions } from 'fastify'
import { isJsonObject } from '../operation/json.ts'
import type { ApiServer } from './apiServer.ts'
import { isKnownTag } from './entityTags.ts'
import { noRoute } from './notFound.ts'
import type { UnreadAnswers } from './unreadAnswers.ts'

/** What the document says of a route follows from this. */
export type DocumentedRoute = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'config'>

/** All that the page consists of. */
const paths = [
  '/openapi.json',
  '/docs',
  '/docs/',
  '/docs/json',
  '/docs/yaml',
  '/docs/static/index.html',
  '/docs/static/swagger-initializer.js',
  '/docs/static/*',
]

const newline = 10

/** All that lie there are named so. No two of such names lead to one file: there are no more of them than files. */
const staticName = /^[a-z0-9][a-z0-9.-]{0,63}$/

/** Of the connection, or made anew; and nothing is answered in parts. */
const ownHeaders: ReadonlySet<string> = new Set([
  'accept-ranges',
  'connection',
  'content-length',
  'date',
  'transfer-encoding',
])

/** Each route that is added after this. */
export function documentedRoutes(app: ApiServer): readonly DocumentedRoute[] {
  const routes: DocumentedRoute[] = []
  app.addHook('onRoute', ({ method, url, schema, config }) => {
    if (method === 'HEAD' || schema?.hide === true) return
    routes.push({
      method,
      url,
      ...(schema === undefined ? {} : { schema }),
      ...(config === undefined ? {} : { config }),
    })
  })
  return routes
}

/**
 * `/openapi.json` and `/docs`. Loading what they are made with takes a good part of a start, and nearly no node is ever
 * asked for them: it is loaded for the first who does.
 *
 * Each file is made once, whoever asks for it, and all who read it share its bytes: anybody may ask, without a key.
 */
export function serveDocument(
  app: ApiServer,
  routes: readonly DocumentedRoute[],
  { version, answers }: { readonly version: string; readonly answers: UnreadAnswers },
): void {
  let loading: Promise<FastifyInstance> | undefined
  function load(): Promise<FastifyInstance> {
    if (loading !== undefined) return loading
    loading = import('./documentServer.ts').then(({ createDocumentServer }) => createDocumentServer(routes, version))
    loading.catch(() => {
      loading = undefined
    })
    return loading
  }
  /** By path. There are as many as files: what is not found is not kept. */
  const files = new Map<string, Promise<DocumentFile>>()
  async function fileOf(path: string): Promise<DocumentFile> {
    const { statusCode, headers, rawPayload, payload } = await (await load()).inject({ method: 'GET', url: path })
    if (statusCode >= 500) throw new Error(`The document's server answered ${statusCode}: ${payload}`)
    if (statusCode >= 400) throw noRoute(path)
    const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !ownHeaders.has(name))
    return { statusCode, headers: Object.fromEntries(kept), payload: answers.share(ended(headers, rawPayload)) }
  }
  async function answer(path: string, headers: IncomingHttpHeaders, reply: FastifyReply): Promise<FastifyReply> {
    let file = files.get(path)
    if (file === undefined) {
      file = fileOf(path)
      files.set(path, file)
      file.catch(() => files.delete(path))
    }
    const { statusCode, headers: own, payload } = await file
    reply.headers(own)
    if (statusCode === 200 && own.etag !== undefined && isKnownTag(headers, String(own.etag))) {
      return reply.code(304).send()
    }
    // A redirect has nothing to send, and so no type.
    return reply.code(statusCode).send(payload.length === 0 ? undefined : payload)
  }
  for (const path of paths) {
    app.get(path, { schema: { hide: true }, config: { access: 'open' } }, (request, reply) =>
      answer(filePathOf(path, request), request.headers, reply),
    )
  }
}

/** A path may be spelt in any number of ways; a file is kept under one. Throws ProblemError: there is no such file. */
function filePathOf(path: string, { url, params }: Pick<FastifyRequest, 'url' | 'params'>): string {
  if (!path.endsWith('*')) return path
  const name = isJsonObject(params) ? params['*'] : undefined
  if (typeof name !== 'string' || !staticName.test(name)) throw noRoute(url.split('?', 1)[0] ?? url)
  return `${path.slice(0, -1)}${name}`
}

interface DocumentFile {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly payload: Buffer
}

/** JSON ends in a newline here too. */
function ended(headers: LightMyRequestResponse['headers'], payload: Buffer): Buffer {
  const isOpen = String(headers['content-type']).startsWith('application/json') && payload.at(-1) !== newline
  return isOpen ? Buffer.concat([payload, Buffer.of(newline)]) : payload
}
