import { CommandFailed } from './outcome.ts'

/** Where the service is, and who asks. */
export interface Connection {
  readonly url: string
  readonly key: string | null
}

/** JSON as it came: whoever reads a member checks it. */
export type JsonObject = Readonly<Record<string, unknown>>

const timeoutMs = 30_000

/** Sends a request of the HTTP contract; an answer that is not 2xx is thrown as CommandFailed, with what the service says. */
export async function callApi(
  { url, key }: Connection,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<JsonObject> {
  let answer: Response
  try {
    answer = await fetch(new URL(path, url.endsWith('/') ? url : `${url}/`), {
      method,
      // A redirect would take the key to somebody else.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (error) {
    throw new CommandFailed(`No answer from ${url}: ${reasonOf(error)}`)
  }
  const text = await answer.text().catch(() => '')
  const json = parsed(text)
  if (answer.ok) {
    if (json === null && text !== '') throw new CommandFailed(`${url} does not answer like a Waybill`)
    return json ?? {}
  }
  throw new CommandFailed(describeProblem(answer.status, json, key !== null))
}

function parsed(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describeProblem(status: number, problem: JsonObject | null, hasKey: boolean): string {
  const { code, detail, errors } = problem ?? {}
  const lines = [
    `${typeof detail === 'string' ? detail : 'The service refused'} (${typeof code === 'string' ? code : 'HTTP'}, ${status})`,
  ]
  for (const error of Array.isArray(errors) ? errors : []) {
    if (isObject(error)) lines.push(`  ${String(error.pointer)} ${String(error.detail)}`)
  }
  if (status === 401 && !hasKey) lines.push('  Give a key: WAYBILL_KEY, WAYBILL_KEY_FILE or --key-file')
  return lines.join('\n')
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (error.name === 'TimeoutError') return `nothing came within ${timeoutMs / 1_000} s`
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message
}
