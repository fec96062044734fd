import { KeysUnavailableError, NotRecordedError } from '../access/access.ts'
import type { CommandFailure } from '../commands/commandService.ts'
import { UnreadableStreamError } from '../commands/commandService.ts'
import { AnotherLogError, LogUnavailableError } from '../eventlog/eventLog.ts'
import type { Refusal } from '../operation/decision.ts'
import { TamperedError } from '../operation/verifyStream.ts'
import { ReadModelUnavailableError } from '../projections/readModel.ts'

// The one place that knows how an outcome becomes HTTP.

const kinds = {
  invalid: [400, 'The request is not valid'],
  unauthorised: [401, 'Authentication is needed'],
  forbidden: [403, 'Not allowed'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'The path does not know this method'],
  not_acceptable: [406, 'No acceptable form of the answer'],
  timeout: [408, 'The request took too long to arrive'],
  operation_exists: [409, 'The operation exists'],
  key_exists: [409, 'A key of this name is in force'],
  keys_full: [409, 'Too many keys'],
  operator_needed: [409, 'There must be a key of an operator'],
  not_parked: [409, 'The stream is not parked there'],
  tampered: [409, 'The stream was tampered with'],
  projection_paused: [409, 'The projection is paused'],
  rebuild_under_way: [409, 'A rebuild is under way'],
  pipeline_mismatch: [409, 'The operation runs in another pipeline'],
  unknown_status: [409, 'The pipeline does not know this status'],
  transition_not_allowed: [409, 'The transition is not allowed'],
  requirement_unmet: [409, 'A requirement is not met'],
  unreachable: [409, 'The status can no longer be reached'],
  held_full: [409, 'Too many reports wait for their turn'],
  removed: [410, 'Removed'],
  another_log: [410, 'The position is of another log'],
  revision_mismatch: [412, 'At another revision'],
  too_large: [413, 'Too large'],
  unsupported_media_type: [415, 'The content type is not supported'],
  key_reused: [422, 'The idempotency key was used for another command'],
  claim_held: [423, 'The claim is held by another worker'],
  not_tried: [424, 'Not tried'],
  rate_limited: [429, 'Too many requests'],
  headers_too_large: [431, 'The headers are too large'],
  internal: [500, 'Internal error'],
  unreadable: [500, 'This node cannot read what is stored'],
  contention: [503, 'Too many writers at once'],
  log_unavailable: [503, 'The event log is not available'],
  not_yet_visible: [503, 'Not yet visible'],
  outcome_unknown: [503, 'The outcome is not known'],
  overloaded: [503, 'Overloaded'],
  read_model_unavailable: [503, 'The read model is not available'],
  keys_unavailable: [503, 'The keys are not available'],
  not_ready: [503, 'Not ready'],
} as const satisfies Readonly<Record<string, readonly [status: number, title: string]>>

export type ProblemCode = keyof typeof kinds

export const problemCodes = Object.keys(kinds) as ProblemCode[]

/** One thing that is wrong with a request. */
export interface Fault {
  readonly in: 'body' | 'query' | 'path' | 'header'
  /** JSON pointer into the body; for a header or parameter, "/" and its name. */
  readonly pointer: string
  readonly detail: string
}

export interface Problem {
  readonly code: ProblemCode
  /** One sentence for a person. Quotes nothing of a document, names nothing internal. */
  readonly detail: string
  readonly errors?: readonly Fault[]
  /** For `Retry-After`. */
  readonly retryAfterS?: number
  /** Methods, for `Allow`. */
  readonly allow?: readonly string[]
  /** Of a 415: what is taken, for the headers of that name. */
  readonly accept?: string
  readonly acceptEncoding?: string
  readonly operation?: string
  readonly command?: string
  readonly track?: string
  readonly currentStatus?: string | null
  readonly allowedStatuses?: readonly string[]
  readonly revision?: bigint
  /** Opaque token. */
  readonly position?: string
  /** Events as a JSON array in text. */
  readonly eventsText?: string
  readonly checks?: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[]
}

/** Ends a request with a problem, from wherever it is noticed. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

export function invalidHeader(name: string, detail: string): ProblemError {
  return new ProblemError({
    code: 'invalid',
    detail: `The header ${name} ${detail}.`,
    errors: [{ in: 'header', pointer: `/${name}`, detail }],
  })
}

export function problemStatus(problem: Problem): number {
  return kinds[problem.code][0]
}

/** Whoever sends a large document that is wrong all over is helped by the first of them. */
const errorsMax = 100

/** The body of RFC 9457. `instance`: the path asked for. */
export function problemText(problem: Problem, instance: string): string {
  const [status, title] = kinds[problem.code]
  // Those four are headers.
  const {
    retryAfterS: _retryAfterS,
    allow: _allow,
    accept: _accept,
    acceptEncoding: _acceptEncoding,
    ...told
  } = problem
  const { code, detail, revision, eventsText, errors, ...members } = told
  const isCut = errors !== undefined && errors.length > errorsMax
  const text = JSON.stringify({
    type: `urn:waybill:problem:${code}`,
    title,
    status,
    detail: isCut ? `${detail} The first ${errorsMax} of ${errors.length} errors are listed.` : detail,
    instance,
    code,
    ...(errors === undefined ? {} : { errors: errors.slice(0, errorsMax) }),
    ...members,
    ...(revision === undefined ? {} : { revision: Number(revision) }),
  })
  return eventsText === undefined ? text : `${text.slice(0, -1)},"events":${eventsText}}`
}

/** The same as an answer's whole body, with the newline in which all answers end. */
export function problemLine(problem: Problem, instance: string): string {
  return `${problemText(problem, instance)}\n`
}

/** On every answer of the API: its type is what it says, and it is kept by nobody. */
export const guardedHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const

export function problemHeaders(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json; charset=utf-8',
    ...guardedHeaders,
  }
  if (problem.retryAfterS !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(problem.retryAfterS)))
  if (problem.code === 'unauthorised') headers['www-authenticate'] = 'Bearer realm="waybill"'
  if (problem.allow !== undefined) headers.allow = problem.allow.join(', ')
  if (problem.accept !== undefined) headers.accept = problem.accept
  if (problem.acceptEncoding !== undefined) headers['accept-encoding'] = problem.acceptEncoding
  return headers
}

/** The log decided: the command is refused. `operation` and `command` say which. */
export function refusalProblem(refusal: Refusal, operation: string | undefined, command: string): Problem {
  return { ...refusal, ...(operation === undefined ? {} : { operation }), command }
}

/** What a command is for. */
type Subject = 'operation' | 'pipeline' | 'projection'

const detailsOf = (subject: Subject): Readonly<Record<CommandFailure['code'], string>> => ({
  overloaded:
    'The service takes no more commands for now: it holds as many as it can, and this key has its share of them, or it is ' +
    'about to stop. Nothing was written; send the command again later.',
  contention: `Other writers kept changing the ${subject}. Nothing was written; send the command again.`,
  log_unavailable: 'The event log could not be reached. Nothing was written; send the command again later.',
  outcome_unknown:
    'The connection to the event log was lost before it answered. Send the command again with the same key to find out.',
  not_tried: 'An earlier command of this request on the same operation has an open outcome, so this one was not tried.',
  unreadable: `The ${subject} holds an event that this node cannot read. Nothing was written.`,
  tampered:
    `The log does not hold what was appended: the hash chain of the ${subject}${subject === 'operation' ? ', or of its pipeline,' : ''} ` +
    'is broken. Nothing was written. Keep the command, and tell an operator.',
})

const failureDetails = {
  operation: detailsOf('operation'),
  pipeline: detailsOf('pipeline'),
  projection: detailsOf('projection'),
}

export function failureProblem(
  failure: CommandFailure,
  operation: string | undefined,
  command: string,
  subject: Subject = 'operation',
): Problem {
  // As a problem, `tampered` is of who would pass over what the log says: 409. Who sends a command has done nothing wrong.
  const code = failure.code === 'tampered' ? 'unreadable' : failure.code
  const mayRetry = code !== 'unreadable' && code !== 'not_tried'
  return {
    code,
    detail: failureDetails[subject][failure.code],
    ...(mayRetry ? { retryAfterS: failure.retryAfterS } : {}),
    ...(operation === undefined ? {} : { operation }),
    command,
  }
}

/** What an error that was thrown means to the caller; null when it is a bug, to be logged and not shown. */
export function expectedProblem(error: unknown): Problem | null {
  if (error instanceof ProblemError) return error.problem
  if (error instanceof LogUnavailableError || error instanceof AnotherLogError) {
    return { code: 'log_unavailable', detail: 'The event log could not be read. Try again later.', retryAfterS: 1 }
  }
  if (error instanceof ReadModelUnavailableError) {
    return {
      code: 'read_model_unavailable',
      detail: 'The read model could not be read. Try again later.',
      retryAfterS: 1,
    }
  }
  if (error instanceof NotRecordedError) {
    return {
      code: 'log_unavailable',
      detail: 'The event log did not take the record of the change, and so it was not made. Try again later.',
      retryAfterS: 1,
    }
  }
  if (error instanceof KeysUnavailableError) {
    return {
      code: 'keys_unavailable',
      detail: 'The database did not answer. Look whether the change was made before you try again.',
      retryAfterS: 1,
    }
  }
  if (error instanceof UnreadableStreamError) return { code: 'unreadable', detail: unreadableDetail(error) }
  return fastifyProblem(error)
}

function unreadableDetail({ cause }: UnreadableStreamError): string {
  if (!(cause instanceof TamperedError)) return failureDetails.operation.unreadable
  const { stream, revision } = cause
  return `The log does not hold what was appended: the hash chain of ${stream} is broken at event ${revision}.`
}

const fastifyCodes: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too_large', detail: 'The body is too large.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'invalid', detail: 'The body is not as long as Content-Length says.' },
  FST_ERR_BAD_URL: { code: 'invalid', detail: 'The path is not a valid URL.' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'invalid', detail: 'A part of the path is too long.' },
}

function fastifyProblem(error: unknown): Problem | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  return fastifyCodes[error.code] ?? null
}

/** What Node's HTTP parser refuses before there is a request. */
export function parserProblem(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'headers_too_large', detail: 'The request line and the headers are larger than the server takes.' }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'timeout', detail: 'The request did not arrive in time.' }
    default:
      return { code: 'invalid', detail: 'The bytes received are not a valid HTTP request.' }
  }
}
