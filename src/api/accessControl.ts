import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { type Access, type Caller, type Closed, type Role, roles } from '../access/access.ts'
import { apiKeyId, bearerToken } from '../access/apiKey.ts'
import type { ApiServer } from './apiServer.ts'
import { type Problem, ProblemError } from './problem.ts'
import type { RefusalLog } from './refusalLog.ts'
import type { OwnedRequest } from './requestScheduler.ts'
import { strangerFault } from './strangers.ts'

/** Who may call a route: everybody (`open`), or a caller with that role, or one of those; an operator always. */
export type RouteAccess = 'open' | Role | readonly [Role, Role]

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route must say it; the server does not start otherwise. */
    access?: RouteAccess
  }
  interface FastifyRequest {
    /** Null on open routes, and until the caller is known. */
    caller: Caller | null
  }
}

export const unauthorised: Problem = {
  code: 'unauthorised',
  detail: 'Send a key that is in force: Authorization: Bearer <key>.',
}

const closedProblems: Readonly<Record<Closed, Problem>> = {
  stale: {
    code: 'keys_unavailable',
    detail:
      'The database has not answered about access keys for too long: keys may have been revoked since. Nothing was done; ' +
      'try again once it answers.',
    retryAfterS: 5,
  },
  lost: {
    code: 'keys_unavailable',
    detail:
      'Access keys were made for this log, and the database holds none: it was emptied or restored. Nothing is answered ' +
      'until an operator has made keys with WAYBILL_OPERATOR_KEY.',
    retryAfterS: 60,
  },
}

function forbidden(needed: Exclude<RouteAccess, 'open'>): Problem {
  return { code: 'forbidden', detail: `This takes a key with the role ${[needed].flat().join(' or ')}.` }
}

type GuardedBy = Pick<Access, 'authenticate' | 'closed'>

/**
 * Guards every route added from now on. It is decided by the route and the key alone, before a body is read or a parameter
 * looked at: who may not see an operation learns neither from the answer nor from its time whether there is one.
 *
 * `loopbackOnly`: the service listens on this machine only. Whoever needs no key must then be on it (strangers.ts).
 *
 * Returns a check to be made once all routes are there; it throws when one does not say who may call it.
 */
export function guardRoutes(
  app: ApiServer,
  access: GuardedBy,
  refusals: Pick<RefusalLog, 'note'>,
  loopbackOnly: boolean,
): () => void {
  const guarded: RouteOptions[] = []
  app.decorateRequest('caller', null)
  app.addHook('onRoute', (route) => {
    guarded.push(route)
    // Reads the route's own record: request.routeOptions makes a new object at each look.
    const refuse = ({ raw }: FastifyRequest, caller: Caller | null, problem: Problem): ProblemError => {
      const presented = caller?.keyId ?? apiKeyId(bearerToken(raw.headers.authorization ?? '') ?? '')
      refusals.note({
        status: caller === null ? 401 : 403,
        method: raw.method ?? '',
        route: route.url,
        address: addressOf({ raw }),
        key: presented,
        name: caller?.name ?? null,
      })
      return new ProblemError(problem)
    }
    const guard = (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
      const needed = route.config?.access
      if (needed === 'open') return done()
      const caller = access.authenticate(request.raw.headers.authorization)
      const closed = closedTo(access, caller)
      if (closed !== null) return done(new ProblemError(closedProblems[closed]))
      if (caller === null) return done(refuse(request, caller, unauthorised))
      if (caller.origin === 'nobody') {
        const detail = strangerFault(request.raw.headers, loopbackOnly)
        if (detail !== null) return done(refuse(request, caller, { code: 'forbidden', detail }))
      }
      if (needed === undefined) return done(refuse(request, caller, forbidden('operator')))
      if (!mayCall(caller, needed)) return done(refuse(request, caller, forbidden(needed)))
      request.caller = caller
      done()
    }
    const others = route.onRequest === undefined ? [] : [route.onRequest].flat()
    route.onRequest = [guard, ...others]
  })
  return () => {
    for (const { method, url, config } of guarded) {
      if (isRouteAccess(config?.access)) continue
      throw new Error(`${[method].flat().join(', ')} ${url} does not say who may call it: config: { access: ... }`)
    }
  }
}

/** For what outlives its request: a key may have been revoked since. */
export function isAllowed(access: GuardedBy, authorization: string | undefined, needed: Role): boolean {
  const caller = knownCaller(access, authorization)
  return caller !== null && mayCall(caller, needed)
}

/** For what waits: whether the key that a request came with is still one. Its roles never change. */
export function isKeyKnown(access: GuardedBy, authorization: string | undefined): boolean {
  return knownCaller(access, authorization) !== null
}

function knownCaller(access: GuardedBy, authorization: string | undefined): Caller | null {
  const caller = access.authenticate(authorization)
  return closedTo(access, caller) === null ? caller : null
}

/** Why nobody is let in by what is known of keys; the configuration's own key does not rest on that. */
function closedTo(access: GuardedBy, caller: Caller | null): Closed | null {
  return caller?.origin === 'configuration' ? null : access.closed()
}

/** Throws ProblemError when it is not. */
export function requireKeyKnown(access: GuardedBy, authorization: string | undefined): void {
  if (!isKeyKnown(access, authorization)) throw new ProblemError(unauthorised)
}

/** Whether an open route may tell this caller more than strangers. */
export function isKnownReader(
  access: Pick<Access, 'authenticate'>,
  headers: IncomingHttpHeaders,
  loopbackOnly: boolean,
): boolean {
  const caller = access.authenticate(headers.authorization)
  if (caller === null || !mayCall(caller, 'viewer')) return false
  return caller.origin !== 'nobody' || strangerFault(headers, loopbackOnly) === null
}

/** Whether the caller of another route could ask for events as well. */
export function mayReadEvents(caller: Caller): boolean {
  return mayCall(caller, 'auditor')
}

function mayCall(caller: Caller, needed: Exclude<RouteAccess, 'open'>): boolean {
  return caller.roles.some((role) => role === 'operator' || needed === role || needed.includes(role))
}

function isRouteAccess(value: unknown): boolean {
  return value === 'open' || [value].flat().every((needed) => roles.some((role) => role === needed))
}

export function callerOf(request: Pick<FastifyRequest, 'caller'>): Caller {
  if (request.caller === null) throw new Error('The route is open: nobody was asked who they are')
  return request.caller
}

/**
 * Whose share of what is bounded a request uses: the key's; where there are no keys, or nobody was asked who they are, the
 * client's address.
 */
export function ownerOf({ caller, raw }: Pick<FastifyRequest, 'caller' | 'raw'>): string {
  // Fastify answers a request whose path is no valid URL apart from the application, and gives it none of its decorators.
  return ownerBy(caller ?? null, raw)
}

/** The same of a request that no guard has looked at yet. */
export function expectedOwnerOf(access: Pick<Access, 'authenticate'>, raw: OwnedRequest): string {
  return ownerBy(access.authenticate(raw.headers.authorization), raw)
}

function ownerBy(caller: Caller | null, { socket }: Pick<OwnedRequest, 'socket'>): string {
  if (caller === null || caller.origin === 'nobody') return socket?.remoteAddress ?? ''
  return caller.keyId ?? caller.name
}

/** The connection's: what a proxy says of others is not believed. Null: it came by none. */
export function addressOf({ raw }: Pick<FastifyRequest, 'raw'>): string | null {
  return raw.socket?.remoteAddress ?? null
}

/** For the `actor` of events. */
export function actorOf(request: Pick<FastifyRequest, 'caller'>): string {
  return callerOf(request).name
}
