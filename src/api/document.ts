import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import type { ApiServer } from './apiServer.ts'

/** Registers the generator: every route added after it is in the document. */
export async function registerDocument(app: ApiServer, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Waybill',
        version,
        description:
          'Tells where every JSON is: status reports become versioned events, and events become what people read. ' +
          'Unknown fields and parameters are refused. Errors are `application/problem+json` (RFC 9457) with a `code`.',
      },
      tags: [
        { name: 'commands', description: 'What services send.' },
        { name: 'queries', description: 'What people read.' },
        { name: 'history', description: 'What happened, event by event.' },
        { name: 'pipelines', description: 'The definitions operations run in.' },
        { name: 'projections', description: 'How the read model is made, and what operators may do about it.' },
        { name: 'keys', description: 'Who may do what.' },
        { name: 'service', description: 'The service itself.' },
      ],
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description:
              'An access key. Each operation names the role it takes; an operator may call all of them. As long as ' +
              'there has never been a key, a service that listens on its own machine only asks for none.',
          },
        },
      },
    },
    transform(input) {
      const { schema, url } = jsonSchemaTransform(input)
      const access = input.route.config?.access
      return {
        url,
        schema: { ...schema, security: access === undefined || access === 'open' ? [] : [{ key: [access] }] },
      }
    },
    transformObject: jsonSchemaTransformObject,
  })
}

/** Headers of answers, by name. */
const headers = {
  ETag: { description: 'The revision, in quotes: for `If-Match`.', schema: { type: 'string' } },
  Location: { description: 'Where it is.', schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } },
  'RateLimit-Limit': { description: 'Requests in a second.', schema: { type: 'integer' } },
  'RateLimit-Remaining': { description: 'How many are left of them.', schema: { type: 'integer' } },
  'RateLimit-Reset': { description: 'Seconds until there are more.', schema: { type: 'integer' } },
  'WWW-Authenticate': { description: '`Bearer`.', schema: { type: 'string' } },
  'Waybill-Position': { description: 'The position the answer is folded up to.', schema: { type: 'string' } },
} as const

interface DocumentedOperation {
  readonly tags?: readonly string[]
  readonly responses?: Readonly<Record<string, object>>
}

interface DocumentedPaths {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>
}

/** The generator knows no headers of answers; they follow from what a route is. */
function addHeaders(document: DocumentedPaths): void {
  for (const item of Object.values(document.paths ?? {})) {
    for (const [method, { tags = [], responses = {} }] of Object.entries(item)) {
      for (const [status, answer] of Object.entries(responses)) {
        const names = headersOf(method, tags, Number(status))
        if (names.length === 0) continue
        Object.assign(answer, { headers: Object.fromEntries(names.map((name) => [name, headers[name]])) })
      }
    }
  }
}

function headersOf(method: string, tags: readonly string[], status: number): readonly (keyof typeof headers)[] {
  if (status === 503) return ['Retry-After']
  if (status === 401) return ['WWW-Authenticate']
  if (status === 429) return ['Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']
  if (status >= 300 || ['service', 'keys', 'projections'].some((tag) => tags.includes(tag))) return []
  if (method === 'get') return ['Waybill-Position']
  return status === 201 ? ['ETag', 'Location'] : ['ETag']
}

function documentText(app: ApiServer): string {
  const document: DocumentedPaths = JSON.parse(JSON.stringify(app.swagger()))
  addHeaders(document)
  return JSON.stringify(document)
}

/** `/openapi.json` and `/docs`. */
export async function serveDocument(app: ApiServer): Promise<void> {
  let text: string | undefined
  // The page's routes are its plugin's: they cannot say so themselves.
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, access: 'open' }
  })
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= documentText(app)
    return reply.header('content-type', 'application/json; charset=utf-8').send(text)
  })
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'self'"],
        frameAncestors: ["'none'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        // The page sets styles by script. Requests are not upgraded to https: the service itself speaks http.
        styleSrc: ["'self'", "'unsafe-inline'"],
      },
    },
    strictTransportSecurity: false,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
}
