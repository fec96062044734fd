import type { FastifyReply, FastifyRequest, InjectOptions, LightMyRequestResponse } from 'fastify'
import pg from 'pg'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Access } from '../../src/access/access.ts'
import { type AccessSettings, openAccess } from '../../src/access/openAccess.ts'
import type { ApiServer } from '../../src/api/apiServer.ts'
import { resultLine } from '../../src/api/contract/commands.ts'
import { problem } from '../../src/api/contract/problem.ts'
import { recordedEvent } from '../../src/api/contract/recordedEvent.ts'
import type { ApiLimits } from '../../src/api/limits.ts'
import { buildServer } from '../../src/api/server.ts'
import { type AuditTrail, createAuditTrail } from '../../src/audit/auditTrail.ts'
import type { CommandLimits } from '../../src/commands/commandLimits.ts'
import type { CommandService } from '../../src/commands/commandService.ts'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { keyTrailOf } from '../../src/keyTrail.ts'
import { createProjections, type Projections } from '../../src/projections/projections.ts'
import { createMigratedDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'

export interface ApiHarness {
  readonly app: ApiServer
  readonly access: Access
  readonly trail: AuditTrail
  readonly log: EventLog
  readonly commands: CommandService
  readonly projections: Projections
  readonly drain: AbortController
  /** Does to the database what no part of the service under test would. */
  sql(text: string): Promise<void>
  /** Routes as they were registered, `GET /v1/stats`. */
  readonly routes: readonly string[]
  readonly errors: readonly unknown[]
  /** What was logged of requests, with `logRequests`. */
  readonly requests: readonly unknown[]
  readonly warnings: readonly unknown[]
  /** Injects a request; the answer has been held against the document. */
  send(method: InjectOptions['method'], url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Sends lines in bulk (an object, or text as it is); each result has been held against the document. */
  bulk(lines: readonly unknown[]): Promise<BulkLine[]>
  close(): Promise<void>
}

/** What is expected of an answer is each test's own affair; that it is as documented has been seen to. */
type Body = ReturnType<typeof JSON.parse>

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Body
  readonly text: string
}

export type BulkLine = Body

export interface HarnessOptions {
  readonly limits?: Partial<ApiLimits>
  /** Default true, as on a loopback address. */
  readonly loopbackOnly?: boolean
  readonly commandLimits?: Partial<CommandLimits>
  /** Puts something between the rooms and the log: a failure. */
  readonly wrapLog?: (log: EventLog) => EventLog
  readonly logRequests?: boolean
  readonly access?: Partial<AccessSettings>
  /** False: nothing is projected until the test starts it. */
  readonly projecting?: boolean
}

/** The real modules: memory log, command service, read model and projector on a database of their own. */
export async function startApi(options: HarnessOptions = {}): Promise<ApiHarness> {
  const database = await createMigratedDatabase()
  const { connectionString } = database
  const memory = createMemoryEventLog()
  const log = options.wrapLog?.(memory) ?? memory
  const trail = createAuditTrail({ log, now: () => new Date().toISOString() })
  const access = await openAccess({
    connectionString,
    anonymousAllowed: true,
    trail: keyTrailOf(trail),
    ...options.access,
  })
  const commands = createCommandService({
    log,
    clock: Date.now,
    ...(options.commandLimits === undefined ? {} : { limits: options.commandLimits }),
  })
  const projections = createProjections({ connectionString, log, windowMs: 1, lookIntervalMs: 20 })
  if (options.projecting !== false) projections.projector.start()
  projections.takeOrders()
  const drain = new AbortController()
  const routes: string[] = []
  const errors: unknown[] = []
  const requests: unknown[] = []
  const warnings: unknown[] = []
  const app = await buildServer({
    access,
    trail,
    log,
    commands,
    readModel: projections.readModel,
    projector: projections.projector,
    control: projections.control,
    draining: drain.signal,
    version: '0.0.0-test',
    loopbackOnly: options.loopbackOnly ?? true,
    logger: {
      info: (fields) => requests.push(fields),
      warn: (fields) => warnings.push(fields),
      error: (fields) => errors.push(fields),
    },
    logRequests: options.logRequests === true,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    prepare(server) {
      server.addHook('onRoute', ({ method, url, schema }) => {
        if (schema?.hide === true) return
        for (const name of [method].flat()) routes.push(`${name} ${url}`)
      })
      server.addHook('onSend', async (request, reply, payload) => checkAnswer(request, reply, payload))
    },
  })

  async function send(
    method: InjectOptions['method'],
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const payload = body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await app.inject({ method: method ?? 'GET', url, ...payload, headers: { ...type, ...headers } })
    const isJson = String(answer.headers['content-type'] ?? '').includes('json') && method !== 'HEAD'
    const isLines = String(answer.headers['content-type'] ?? '').includes('ndjson')
    checkEnd(answer)
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: isJson && !isLines && answer.body !== '' ? JSON.parse(answer.body) : undefined,
      text: answer.body,
    }
  }

  return {
    app,
    access,
    trail,
    log,
    commands,
    projections,
    drain,
    async sql(text) {
      const client = new pg.Client({ connectionString })
      await client.connect()
      try {
        await client.query(text)
      } finally {
        await client.end()
      }
    },
    routes,
    errors,
    requests,
    warnings,
    send,
    async bulk(lines) {
      const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n')
      const answer = await send('POST', '/v1/commands', text, { 'content-type': 'application/x-ndjson' })
      expect(answer.status).toBe(200)
      return linesOf(answer.text).map((line) => fits(resultLine, line))
    },
    async close() {
      drain.abort()
      await commands.drain()
      await app.close()
      await projections.close()
      await access.close()
      await log.close()
      await database.drop()
    },
  }
}

export function linesOf(text: string): Body[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

export function eventLines(text: string): Body[] {
  return linesOf(text).map((line) => fits(recordedEvent, line))
}

function fits(schema: z.ZodType, value: Body): Body {
  const result = schema.safeParse(value)
  if (!result.success)
    throw new Error(`${JSON.stringify(value)} is not as documented: ${z.prettifyError(result.error)}`)
  return value
}

/** A terminal's prompt follows on a line of its own, and who reads by the length that is declared reads that newline too. */
function checkEnd({ headers, body, raw }: LightMyRequestResponse): void {
  const type = String(headers['content-type'] ?? '')
  if (body === '' || raw.req.method === 'HEAD' || !/json|yaml|text\/plain/.test(type)) return
  if (!body.endsWith('\n')) throw new Error(`the answer does not end in a newline: ${body.slice(-200)}`)
  const length = headers['content-length']
  if (length !== undefined) expect(Number(length)).toBe(Buffer.byteLength(body))
}

type Documented = Readonly<
  Record<string, { readonly content?: Readonly<Record<string, { readonly schema: z.ZodType }>> }>
>

/** Every answer of every test is held against the schema of its route, status and type: an unknown member fails too. */
function checkAnswer(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  if (typeof payload !== 'string' || request.method === 'HEAD') return payload
  const type = String(reply.getHeader('content-type')).split(';')[0] ?? ''
  if (!type.endsWith('json')) return payload
  const { url, schema } = request.routeOptions
  if (request.is404 || schema?.hide === true || schema === undefined || reply.statusCode === 405) {
    if (type === 'application/problem+json') fits(problem, JSON.parse(payload))
    return payload
  }
  const documented = (schema.response as Documented | undefined)?.[reply.statusCode]?.content?.[type]?.schema
  if (documented === undefined)
    throw new Error(`${request.method} ${url}: ${reply.statusCode} ${type} is not documented`)
  fits(documented, JSON.parse(payload))
  return payload
}

/** Asks until the condition holds. */
export async function eventually<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const value = await ask()
    if (holds(value)) return value
    if (performance.now() > deadline) throw new Error(`did not come true: ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const linear = { statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' }
