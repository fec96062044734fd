import type { FastifyInstance, FastifyReply, FastifyRequest, LightMyRequestResponse, RouteOptions } from 'fastify'
import type { ApiServer } from './apiServer.ts'
import { noRoute } from './notFound.ts'

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

/** Of the connection, or made anew. */
const ownHeaders: ReadonlySet<string> = new Set(['connection', 'content-length', 'date', 'transfer-encoding'])

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
 */
export function serveDocument(app: ApiServer, routes: readonly DocumentedRoute[], version: string): void {
  let loading: Promise<FastifyInstance> | undefined
  async function load(): Promise<FastifyInstance> {
    const { createDocumentServer } = await import('./documentServer.ts')
    return createDocumentServer(routes, version)
  }
  async function answer({ url, headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    loading ??= load()
    const answered = await (await loading).inject({ method: 'GET', url, headers })
    const { statusCode } = answered
    if (statusCode >= 500) throw new Error(`The document's server answered ${statusCode}: ${answered.payload}`)
    if (statusCode >= 400) throw noRoute(url.split('?', 1)[0] ?? url)
    for (const [name, value] of Object.entries(answered.headers)) {
      if (value !== undefined && !ownHeaders.has(name)) reply.header(name, value)
    }
    // A redirect has nothing to send, and so no type.
    return reply.code(statusCode).send(answered.rawPayload.length === 0 ? undefined : ended(answered))
  }
  /** JSON ends in a newline here too. */
  function ended({ headers, rawPayload }: LightMyRequestResponse): Buffer {
    const isOpen = String(headers['content-type']).startsWith('application/json') && rawPayload.at(-1) !== newline
    return isOpen ? Buffer.concat([rawPayload, Buffer.of(newline)]) : rawPayload
  }
  for (const path of paths) app.get(path, { schema: { hide: true }, config: { access: 'open' } }, answer)
}
