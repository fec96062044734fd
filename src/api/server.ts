import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify'
import { isJsonObject } from '../operation/json.ts'
import { expectedOwnerOf, guardRoutes } from './accessControl.ts'
import { answerProblem, pathOf } from './answerProblem.ts'
import type { ApiServer } from './apiServer.ts'
import { parseJsonBodies, passLinesOn, unsupportedTypeProblem } from './bodyParsers.ts'
import { createBodyReader } from './bodyReader.ts'
import { answerClientError, answerExpectation } from './clientError.ts'
import { traceparentOf } from './commandHeaders.ts'
import type { ApiContext } from './context.ts'
import { documentedRoutes, serveDocument } from './document.ts'
import { KnownHead } from './knownHead.ts'
import { type ApiLimits, defaultApiLimits } from './limits.ts'
import { hasBody } from './lingeringClose.ts'
import { Live } from './live/live.ts'
import { createMethodIndex } from './methodIndex.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { createPositionTokens } from './positionToken.ts'
import { expectedProblem, guardedHeaders, type Problem, ProblemError } from './problem.ts'
import { createRateCounts, limitRate } from './rateLimit.ts'
import { Readiness } from './readiness.ts'
import { ReadLimiter } from './readLimiter.ts'
import { recordActs } from './recordedActs.ts'
import { createRefusalLog } from './refusalLog.ts'
import { createRequestScheduler } from './requestScheduler.ts'
import { bulkRoute } from './routes/bulkRoute.ts'
import { commandRoutes } from './routes/commandRoutes.ts'
import { eventRoutes } from './routes/eventRoutes.ts'
import { frontRoute } from './routes/frontRoute.ts'
import { keyRoutes } from './routes/keyRoutes.ts'
import { liveRoutes } from './routes/liveRoutes.ts'
import { operationRoutes } from './routes/operationRoutes.ts'
import { parkedRoutes } from './routes/parkedRoutes.ts'
import { pipelineRoutes } from './routes/pipelineRoutes.ts'
import { projectionRoutes } from './routes/projectionRoutes.ts'
import { serviceRoutes } from './routes/serviceRoutes.ts'
import { createShares } from './shares.ts'
import { boundUnreadAnswers, UnreadAnswers } from './unreadAnswers.ts'
import { validatorCompiler, type ZodInput } from './validation.ts'

export interface ServerOptions
  extends Omit<ApiContext, 'knownHead' | 'tokens' | 'limits' | 'answers' | 'reads' | 'shares'> {
  /** Each that is not given: `defaultApiLimits`. */
  readonly limits?: Partial<ApiLimits>
  /** Of the product, for the document. */
  readonly version: string
  readonly logger?: ApiLogger
  /** Whether it listens on this machine only: without keys, nobody else is answered then. Default false. */
  readonly loopbackOnly?: boolean
  /** A line for each request. Costs as much as the rest of a request's way through this module. */
  readonly logRequests?: boolean
  /** Called before any route is added: for hooks that must see all of them. */
  readonly prepare?: (app: ApiServer) => void
}

/** The part of a pino logger that this module uses. */
export interface ApiLogger {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** Reads too: what this node remembers, and what the read model holds now, are of two histories. */
const replaced: Problem = {
  code: 'log_unavailable',
  detail: 'The database holds another history than before. Nothing was written; an operator has to look at it.',
  retryAfterS: 30,
}

/** Who asked has given up by now, or is about to. */
function stoodTooLong(): ProblemError {
  const detail = 'The service has more requests than it can begin in time. Nothing was written.'
  return new ProblemError({ code: 'overloaded', detail, retryAfterS: 1 })
}

const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE'])

function noOtherCompiler(): never {
  throw new Error('Schemas are compiled by validation.ts alone')
}

/** Larger than any id or name: what is too long is then refused by its own rule, with a reason. */
const paramLengthMax = 16_384

/** The HTTP server, ready to listen or to be injected with requests. Closing it ends nothing but itself. */
export async function buildServer(options: ServerOptions): Promise<ApiServer> {
  const limits = { ...defaultApiLimits, ...options.limits }
  const {
    access,
    trail,
    log,
    commands,
    readModel,
    projector,
    control,
    draining,
    logger,
    loopbackOnly = false,
  } = options
  const tokens = createPositionTokens(log.logId)
  const shares = createShares(limits)
  const answers = new UnreadAnswers(shares.answers, limits.bulkIdleMsMax)
  const context: ApiContext = {
    access,
    trail,
    log,
    knownHead: new KnownHead(log),
    commands,
    readModel,
    reads: new ReadLimiter(shares.reads),
    shares,
    projector,
    control,
    tokens,
    limits,
    answers,
    draining,
    ...(options.anotherHistory === undefined ? {} : { anotherHistory: options.anotherHistory }),
    ...(options.selfAudit === undefined ? {} : { selfAudit: options.selfAudit }),
  }
  const bodies = createBodyReader(limits, shares.bodies)
  const live = new Live(context, logger)
  const readiness = new Readiness(context)
  const metrics = createMetrics(context, readiness, live)

  const app: ApiServer = fastify({
    // Requests are not logged by Fastify: its logger alone was measured at the cost of all the rest.
    logger: false,
    genReqId: () => '',
    bodyLimit: limits.bodyBytesMax,
    routerOptions: { maxParamLength: paramLengthMax },
    // Bodies have their own clock (bodyReader.ts): Node's holds for bulk uploads as well.
    requestTimeout: 0,
    // Nothing goes either way for so long: nobody is there, or a reader has stopped reading.
    connectionTimeout: idleConnectionMsMax(limits),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    http: {
      headersTimeout: limits.headersArrivalMsMax,
      connectionsCheckingInterval: Math.min(1_000, limits.headersArrivalMsMax),
      // Node's own answer to that has no body; the first hook has a better one.
      requireHostHeader: false,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => answerError(error, request, reply),
    // In place of Fastify's own, which would be loaded for nothing.
    schemaController: { compilersFactory: { buildValidator: noOtherCompiler, buildSerializer: noOtherCompiler } },
  }).withTypeProvider<ZodInput>()
  app.server.maxConnections = limits.connectionsMax
  app.server.on('checkExpectation', answerExpectation)

  function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    let problem = unsupportedTypeProblem(error, request) ?? expectedProblem(error)
    if (problem === null) {
      // Who asked has left before an answer that is streamed had begun: nobody is there to be told, and nothing failed.
      if (isPrematureClose(error)) return reply
      logger?.error({ err: error, route: request.routeOptions.url }, 'a request failed')
      problem = { code: 'internal', detail: 'Something went wrong in the service. It is on record there.' }
    }
    return answerProblem(problem, request, reply, answers)
  }

  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler<FastifyError>(answerError)
  app.removeAllContentTypeParsers()

  const scheduler = createRequestScheduler((raw) => expectedOwnerOf(access, raw))
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    scheduler.enter(raw.socket, (waitedMs) => (waitedMs > limits.requestLineMsMax ? done(stoodTooLong()) : done()), raw)
  })
  options.prepare?.(app)
  const methods = createMethodIndex(app)
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    // Its connection was told 408 before all of it had come: what was refused is not carried out. Or who asked has left
    // while the request stood in line.
    if (raw.socket.writableEnded || raw.socket.destroyed) {
      reply.hijack()
      raw.socket.destroy()
      return
    }
    reply.headers(guardedHeaders)
    // serverEnd.ts says what for.
    if (draining.aborted) reply.raw.setHeader('connection', 'close')
    if (options.anotherHistory?.aborted === true && raw.url?.startsWith('/v1/') === true) {
      return done(new ProblemError(replaced))
    }
    const hosts = hostHeaders(raw.rawHeaders)
    if (hosts > 1) return done(new ProblemError({ code: 'invalid', detail: 'There are two Host headers.' }))
    if (hosts === 0 && raw.httpVersion === '1.1') {
      return done(new ProblemError({ code: 'invalid', detail: 'There is no Host header.' }))
    }
    if (request.is404) return done(new ProblemError(methods.problem(raw.method ?? '', raw.url ?? '')))
    if (bodiless.has(raw.method ?? '')) {
      if (hasBody(raw)) {
        return done(new ProblemError({ code: 'invalid', detail: `A ${raw.method} request must not have a body.` }))
      }
      // The type of nothing: Fastify would look for a parser of it.
      delete raw.headers['content-type']
    }
    done()
  })
  const refusals = createRefusalLog(logger)
  const checkGuards = guardRoutes(app, access, refusals, loopbackOnly)
  const checkActs = recordActs(app, trail)
  const rate = createRateCounts(limits.requestsPerSMax)
  if (limits.requestsPerSMax > 0) await limitRate(app, limits.requestsPerSMax, rate)
  boundUnreadAnswers(app, answers)
  observeRoutes(app, metrics)
  if (options.logRequests === true) {
    app.addHook('onResponse', (request, reply, done) => {
      const { method, url, params } = request
      const operation = isJsonObject(params) ? params.id : undefined
      const traceId = traceparentOf(request.headers)?.split('-')[1]
      const ms = Math.round(reply.elapsedTime * 1_000) / 1_000
      logger?.info({ method, path: pathOf(url), status: reply.statusCode, ms, operation, traceId }, 'request')
      done()
    })
  }

  const documented = documentedRoutes(app)
  await app.register(async (scope) => {
    const routes: ApiServer = scope.withTypeProvider<ZodInput>()
    parseJsonBodies(routes, bodies, limits.jsonDepthMax)
    commandRoutes(routes, context)
    operationRoutes(routes, context, live)
    liveRoutes(routes, context, live)
    eventRoutes(routes, context)
    pipelineRoutes(routes, context)
    projectionRoutes(routes, context)
    parkedRoutes(routes, context)
    keyRoutes(routes, context)
    serviceRoutes(routes, context, { metrics, readiness, loopbackOnly })
    frontRoute(routes, options.version)
  })
  await app.register(async (scope) => {
    const routes: ApiServer = scope.withTypeProvider<ZodInput>()
    passLinesOn(routes)
    bulkRoute(routes, context, rate)
  })
  serveDocument(app, documented, { version: options.version, answers })

  const clock = setInterval(() => bodies.expire(), 1_000)
  clock.unref()
  // Streams end before the server waits for its connections to do so.
  app.addHook('preClose', () => live.close())
  app.addHook('onClose', async () => {
    clearInterval(clock)
    refusals.close()
  })
  await app.ready()
  checkGuards()
  checkActs()
  return app
}

/** Each route has its own observer: `request.routeOptions` makes a new object at each look. */
function observeRoutes(app: ApiServer, metrics: Metrics): void {
  app.addHook('onRoute', (route) => {
    const observe = metrics.observer(route.url)
    const observed = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      observe(request.raw.method ?? '', reply)
      done()
    }
    const others = route.onResponse === undefined ? [] : [route.onResponse].flat()
    route.onResponse = [observed, ...others]
  })
  const observeUnknown = metrics.observer('unknown')
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) observeUnknown(request.raw.method ?? '', reply)
    done()
  })
}

/** Longer than any wait the service takes part in. */
function idleConnectionMsMax(limits: ApiLimits): number {
  return Math.max(limits.waitSMax * 1_000, limits.bulkIdleMsMax, limits.bodyArrivalMsMax) + 60_000
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

/** Node keeps the first of several and says nothing; which one a proxy looked at is anyone's guess. */
function hostHeaders(rawHeaders: readonly string[]): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name !== undefined && name.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count
}
