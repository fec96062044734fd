import fastify, { type FastifyInstance } from 'fastify'
import type { DocumentedRoute } from './document.ts'
import { tidySchemas } from './documentSchemas.ts'

/**
 * A server that never listens: it has the routes that are described, and answers for the document alone. Its packages are
 * loaded one after the other: requests are answered in between.
 */
export async function createDocumentServer(
  routes: readonly DocumentedRoute[],
  version: string,
): Promise<FastifyInstance> {
  const server = fastify({ exposeHeadRoutes: false })
  server.setValidatorCompiler(() => () => true)
  server.setSerializerCompiler(() => (value) => JSON.stringify(value))
  await registerGenerator(server, version)
  for (const route of routes) server.route({ ...route, handler: () => undefined })
  const { default: helmet } = await import('@fastify/helmet')
  await server.register(helmet, {
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
  let text: string | undefined
  server.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= documentText(server)
    return reply.header('content-type', 'application/json; charset=utf-8').send(`${text}\n`)
  })
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  await server.register(swaggerUi, { routePrefix: '/docs' })
  await server.ready()
  return server
}

async function registerGenerator(server: FastifyInstance, version: string): Promise<void> {
  const { jsonSchemaTransform, jsonSchemaTransformObject } = await import('fastify-type-provider-zod')
  const { default: swagger } = await import('@fastify/swagger')
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Waybill',
        version,
        description:
          'Tells where every JSON is: status reports become versioned events, and events become what people read. ' +
          'Unknown fields and parameters are refused. Errors are `application/problem+json` (RFC 9457) with a `code`.\n\n' +
          'JSON is kept as it was sent or refused, with a JSON pointer (RFC 6901) to the place: two members of one name, ' +
          'a member named `__proto__`, half of a surrogate pair, U+0000, nesting beyond the limit, and a number that a ' +
          'double (IEEE 754) does not print back with its own digits. `52.520006599999995`, `100.10` and `1e21` are ' +
          'taken; `12345678901234567890` and `0.123456789012345678` are not: send them as strings.',
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
      const roles = access === undefined || access === 'open' ? [] : [access].flat()
      // One requirement each: any of them will do.
      return { url, schema: { ...schema, security: roles.map((role) => ({ key: [role] })) } }
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
  readonly operationId?: string
  readonly tags?: readonly string[]
  readonly responses?: Readonly<Record<string, object>>
}

interface DocumentedPaths {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>
}

/** The generator knows no headers of answers; they follow from what a route is. */
function addHeaders(document: DocumentedPaths): void {
  for (const item of Object.values(document.paths ?? {})) {
    for (const [method, { operationId = '', tags = [], responses = {} }] of Object.entries(item)) {
      for (const [status, answer] of Object.entries(responses)) {
        const names = headersOf(method, operationId, tags, Number(status))
        if (names.length === 0) continue
        Object.assign(answer, { headers: Object.fromEntries(names.map((name) => [name, headers[name]])) })
      }
    }
  }
}

/** Reads of one thing that has a revision. */
const tagged: ReadonlySet<string> = new Set(['getOperation', 'getPipeline', 'getPipelineVersion'])

function headersOf(
  method: string,
  operationId: string,
  tags: readonly string[],
  status: number,
): readonly (keyof typeof headers)[] {
  if (tagged.has(operationId) && (status === 200 || status === 304)) return ['ETag', 'Waybill-Position']

  if (status === 503) return ['Retry-After']
  if (status === 401) return ['WWW-Authenticate']
  if (status === 429) return ['Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']
  if (status >= 300 || ['service', 'keys', 'projections'].some((tag) => tags.includes(tag))) return []
  if (method === 'get') return ['Waybill-Position']
  return status === 201 ? ['ETag', 'Location'] : ['ETag']
}

function documentText(server: FastifyInstance): string {
  const document: DocumentedPaths = tidySchemas(JSON.parse(JSON.stringify(server.swagger())))
  addHeaders(document)
  return JSON.stringify(document)
}
