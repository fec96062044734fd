import { isJsonObject } from '../../src/operation/json.ts'
import type { Answer } from './answers.ts'
import type { ApiDocument, Operation } from './apiDocument.ts'
import type { FuzzRequest } from './wire.ts'

export type FindingKind =
  | 'server_error'
  | 'undocumented_status'
  | 'undocumented_type'
  | 'body_not_as_documented'
  | 'header_missing'
  | 'internal_word'
  | 'result_count'
  | 'malformed_answer'
  | 'no_answer'
  | 'too_slow'
  | 'event_unasked'
  | 'state_changed'

export interface Finding {
  readonly kind: FindingKind
  /** Id of an operation, or what stands for it. */
  readonly operation: string
  readonly detail: string
}

/** 503s that a service in good health gives: what is waited for may not come in the time the caller leaves it. */
const healthy503 = ['"not_yet_visible"']

/** What the parser answers before there is a request; the path's document cannot know it. */
const parserStatuses: readonly number[] = [400, 408, 413, 431]

const internalWords =
  /\b(?:sql|postgres\w*|pg_\w+|relation|constraint|deadlock|undefined|NaN|zod|ajv|fastify|node_modules|stack|TypeError|RangeError|SyntaxError|ReferenceError|ECONN\w*|HPE_\w+|FST_\w+|ERR_\w+|waybill_log|waybill_\w+)\b|\[object |\/src\/|\/dist\/|\.[jt]s:\d|node:\w|\bat \S+ \(|is not a function|Cannot read|Unexpected token|null value|duplicate key|syntax error|PRIMARY KEY|expected string|Invalid input|Invalid option/i

const linesOfJson: ReadonlySet<string> = new Set(['application/x-ndjson', 'application/ndjson', 'application/jsonl'])

/** The last line of an answer that tells failures only; null: another line. */
export function countOf(line: string | undefined): { readonly lines: unknown; readonly failed: unknown } | null {
  const value = line === undefined ? undefined : parsed(line)
  return isJsonObject(value) && 'lines' in value ? { lines: value.lines, failed: value.failed } : null
}

/** Everything an answer must be, by the document. Empty: it is. */
export function judge(document: ApiDocument, request: FuzzRequest, answer: Answer): readonly Finding[] {
  const { method, path } = asSent(request)
  const found = path === null ? null : document.find(method, path)
  const operation = operationName(found)
  const findings: Finding[] = []
  const add = (kind: FindingKind, detail: string) => findings.push({ kind, operation, detail })
  const { status, headers } = answer
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim() ?? ''
  if (!isDocumented(found, request, status, path)) add('undocumented_status', `${method} ${path}: status ${status}`)
  for (const name of neededHeaders(status)) {
    if (headers[name] === undefined) add('header_missing', `status ${status} without ${name}`)
  }
  if (method === 'HEAD' || status === 204 || status === 304) return findings
  const text = answer.body.toString('utf8')
  if (status >= 400) {
    if (type !== 'application/problem+json') {
      add('undocumented_type', `status ${status} with content type ${JSON.stringify(type)}: ${text.slice(0, 200)}`)
      return findings
    }
    const problem = parsed(text)
    const result = document.problem.safeParse(problem)
    if (!result.success) add('body_not_as_documented', mismatch(status, text, result.error.issues))
    if (isJsonObject(problem)) {
      const code = JSON.stringify(problem.code)
      if (status >= 500 && !(status === 503 && healthy503.includes(code)))
        add('server_error', `${status} ${code}: ${text.slice(0, 300)}`)
      if (problem.status !== status)
        add('body_not_as_documented', `status ${status}, and ${JSON.stringify(problem.status)} in the body`)
    } else if (status >= 500) add('server_error', `${status}: ${text.slice(0, 300)}`)
    const word = internalWord(problem)
    if (word !== null) add('internal_word', `${JSON.stringify(word)} in: ${text.slice(0, 500)}`)
    return findings
  }
  if (found === null || found === 'path') return findings
  const schema = found.answers.get(status)?.get(type)
  if (schema === undefined) {
    if (isDocumented(found, request, status, path))
      add('undocumented_type', `status ${status} with content type ${JSON.stringify(type)}`)
    return findings
  }
  if (type === 'application/json') {
    const result = schema.safeParse(parsed(text))
    if (!result.success) add('body_not_as_documented', mismatch(status, text, result.error.issues))
  } else if (linesOfJson.has(type)) {
    const lines = text.split('\n')
    // Cut off, perhaps.
    if (!answer.complete) lines.pop()
    const shown = lines.filter((line) => line !== '')
    for (const line of shown) {
      const value = parsed(line)
      const result = schema.safeParse(value)
      if (!result.success) add('body_not_as_documented', mismatch(status, line, result.error.issues))
      const problem = isJsonObject(value) ? value.problem : undefined
      const word = problem === undefined ? null : internalWord(problem)
      if (word !== null) add('internal_word', `${JSON.stringify(word)} in: ${line.slice(0, 500)}`)
      if (isJsonObject(value) && Number(value.httpStatus) >= 500) add('server_error', `a line: ${line.slice(0, 300)}`)
    }
    if (found.id === 'sendCommands' && answer.complete && request.raw === null) {
      const sent = commandLines(request.body ?? '')
      const count = countOf(shown.at(-1))
      if (count === null && shown.length !== sent) {
        add('result_count', `${sent} lines were sent, ${shown.length} results came`)
      } else if (count !== null && (count.lines !== sent || count.failed !== shown.length - 1)) {
        add('result_count', `${sent} lines were sent, ${shown.length - 1} failures came: ${JSON.stringify(count)}`)
      }
    }
  } else if (type === 'text/event-stream') {
    if (!/^retry: \d+\n/.test(text))
      add('body_not_as_documented', `a stream begins with ${JSON.stringify(text.slice(0, 100))}`)
  }
  return findings
}

function operationName(found: Operation | 'path' | null): string {
  return found === null ? 'unknownPath' : found === 'path' ? 'otherMethod' : found.id
}

/** Which operation a request is of, in the words of a finding. */
export function operationOf(document: ApiDocument, request: FuzzRequest): string {
  const { method, path } = asSent(request)
  return operationName(path === null ? null : document.find(method, path))
}

function isDocumented(
  found: Operation | 'path' | null,
  request: FuzzRequest,
  status: number,
  path: string | null,
): boolean {
  if (parserStatuses.includes(status) && (status !== 413 || found === null)) {
    if (status === 400 || status === 431 || request.raw !== null) return true
  }
  // What is wrong with 5xx is said elsewhere.
  if (path === null) return true
  if (found === null && /^\/(?:docs|openapi\.json)/.test(path)) return status < 500
  if (found === null) return status === 404 || (request.raw !== null && status < 500 && status >= 400)
  // An empty segment is a parameter to the router, and none to who reads the document.
  const isOdd = path.includes('//') || path.endsWith('/')
  if (isOdd && status === 404) return true
  if (found === 'path') return status === 405
  return found.answers.has(status) || (found.method === 'GET' && status === 304 && found.answers.has(304))
}

function neededHeaders(status: number): readonly string[] {
  if (status === 503 || status === 429) return ['retry-after']
  if (status === 401) return ['www-authenticate']
  return status === 405 ? ['allow'] : []
}

/** Method and path as the bytes have it; without a path, nobody can say where the request goes. */
function asSent({ method, target, raw }: FuzzRequest): { readonly method: string; readonly path: string | null } {
  if (
    raw !== null &&
    raw.kind !== 'line' &&
    raw.kind !== 'chunked' &&
    raw.kind !== 'lineFeeds' &&
    raw.kind !== 'withoutHost'
  ) {
    return { method, path: null }
  }
  return { method, path: target.startsWith('/') ? (target.split('?', 1)[0] ?? target) : null }
}

function mismatch(
  status: number,
  text: string,
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): string {
  const [first] = issues
  return `status ${status}, /${first?.path.map(String).join('/') ?? ''}: ${first?.message ?? ''} in ${text.slice(0, 300)}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** In what the service says in its own words: all else may be the caller's. */
function internalWord(problem: unknown): string | null {
  if (!isObject(problem)) return null
  const errors = Array.isArray(problem.errors) ? problem.errors : []
  const own = [problem.title, problem.detail, ...errors.map((error) => (isObject(error) ? error.detail : ''))]
  for (const text of own) {
    // What stands in quotes is the caller's.
    const [word] = internalWords.exec(String(text).replace(/"[^"]*"/g, '')) ?? []
    if (word !== undefined) return word
  }
  return null
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Lines that are not blank. */
function commandLines(body: string): number {
  return body.split('\n').filter((line) => !/^\s*$/.test(Buffer.from(line, 'latin1').toString('utf8'))).length
}
