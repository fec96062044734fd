import type { FastifyRequest } from 'fastify'
import type { ApiServer } from './apiServer.ts'
import type { BodyReader } from './bodyReader.ts'
import { type ContentEncoding, contentEncodingOf } from './contentEncoding.ts'
import { ndjsonTypes, requireUtf8, unsupportedType } from './mediaTypes.ts'
import { type Problem, ProblemError } from './problem.ts'
import { parseStrictJson } from './strictJson.ts'

/** Routes whose bodies are JSON, read whole. */
export function parseJsonBodies(routes: ApiServer, bodies: BodyReader, jsonDepthMax: number): void {
  routes.addContentTypeParser('application/json', (request, _payload, done) => {
    const { headers } = request
    let encoding: ContentEncoding | null
    try {
      requireUtf8(headers['content-type'])
      encoding = contentEncodingOf(headers['content-encoding'])
    } catch (error) {
      done(error as Error)
      return
    }
    bodies.read(request, encoding, (error, bytes) => {
      if (error !== null) return done(error)
      const json = parseStrictJson(bytes, jsonDepthMax)
      if (json.ok) done(null, json.value)
      else done(new ProblemError(json.problem))
    })
  })
}

/** Routes that read lines of JSON by themselves, as they come. */
export function passLinesOn(routes: ApiServer): void {
  routes.addContentTypeParser([...ndjsonTypes], ({ headers }, _payload, done) => {
    try {
      requireUtf8(headers['content-type'])
      done(null)
    } catch (error) {
      done(error as Error)
    }
  })
}

const refusedByFastify: ReadonlySet<string> = new Set(['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'FST_ERR_CTP_EMPTY_TYPE'])

const jsonTypes = ['application/json']

/** Fastify's own error about a body that none of a route's parsers takes; it does not say what they take. Null: another error. */
export function unsupportedTypeProblem(error: unknown, { headers, routeOptions }: FastifyRequest): Problem | null {
  if (!(error instanceof Error) || !('code' in error) || !refusedByFastify.has(String(error.code))) return null
  return unsupportedType(routeOptions.schema?.consumes ?? jsonTypes, headers['content-type'])
}
