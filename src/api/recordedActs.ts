import type { FastifyRequest } from 'fastify'
import type { Act, Action, Actor } from '../audit/act.ts'
import type { AuditTrail } from '../audit/auditTrail.ts'
import { isJsonObject } from '../operation/json.ts'
import { keyPattern } from '../operation/names.ts'
import { addressOf, callerOf } from './accessControl.ts'
import type { ApiServer } from './apiServer.ts'
import { traceparentOf } from './commandHeaders.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a call of the route is in the audit trail. Every operators' route that changes something must say it. */
    act?: Action
  }
}

/** Those are put on record where they are made, together with what they change (access/keyStore.ts). */
const byItself: ReadonlySet<Action> = new Set<Action>(['keys.create', 'keys.revoke'])

/**
 * Puts what operators ask for on record before it is done: nothing is done without a record. One that is then refused (there
 * is no such projection, or nothing parked) is on record as asked for.
 *
 * Returns a check to be made once all routes are there; it throws when an act of operators would leave no record.
 */
export function recordActs(app: ApiServer, trail: Pick<AuditTrail, 'record'>): () => void {
  const silent: string[] = []
  app.addHook('onRoute', (route) => {
    const { access, act } = route.config ?? {}
    const methods = [route.method].flat()
    if (act === undefined) {
      const changes = methods.some((method) => method !== 'GET' && method !== 'HEAD')
      if (changes && access === 'operator') silent.push(`${methods.join(', ')} ${route.url}`)
      return
    }
    if (byItself.has(act)) return
    const record = (request: FastifyRequest) => trail.record(actOf(act, request))
    route.preHandler = [...[route.preHandler ?? []].flat(), record]
  })
  return () => {
    if (silent.length === 0) return
    throw new Error(`${silent.join('; ')} leaves nothing in the audit trail: config: { act: ... }`)
  }
}

function actOf(action: Action, request: FastifyRequest): Act {
  const { params, body } = request
  const { name, stream } = isJsonObject(params) ? params : {}
  const { revision, reason } = isJsonObject(body) ? body : {}
  return {
    action,
    target: typeof name === 'string' ? name : '',
    ...(typeof stream === 'string' ? { stream } : {}),
    ...(typeof revision === 'number' ? { revision } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    by: actorOfRequest(request),
    ...originOf(request),
  }
}

function actorOfRequest(request: FastifyRequest): Actor {
  const { name, keyId } = callerOf(request)
  return { name, keyId, address: addressOf(request) }
}

/** The request's own names for itself, for the record. */
export function originOf({ headers }: FastifyRequest): { readonly request?: string; readonly traceparent?: string } {
  const { 'idempotency-key': key } = headers
  const traceparent = traceparentOf(headers)
  return {
    ...(typeof key === 'string' && keyPattern.test(key) ? { request: key } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  }
}
