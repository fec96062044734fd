/** A request as it is to be sent. Every text is one of bytes: each character one of them. `{{name}}` stands for what only a running service can say. */
export interface FuzzRequest {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | null
  /** What is done to the bytes: nothing of HTTP need be left. */
  readonly raw: RawChange | null
}

export type RawChange =
  | { readonly kind: 'splice'; readonly at: number; readonly remove: number; readonly insert: string }
  | { readonly kind: 'truncate'; readonly at: number }
  | { readonly kind: 'method'; readonly method: string }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'lineFeeds' }
  | { readonly kind: 'before'; readonly bytes: string }
  | { readonly kind: 'withoutHost' }
  /** The body in chunks, with a chunk of these bytes before the last. */
  | { readonly kind: 'chunked'; readonly chunk: string }

export type Values = Readonly<Record<string, string>>

export function fill(request: FuzzRequest, values: Values): FuzzRequest {
  const filled = (text: string) =>
    text.includes('{{') ? text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole) : text
  return {
    ...request,
    target: filled(request.target),
    headers: request.headers.map(([name, value]) => [name, filled(value)] as const),
    body: request.body === null ? null : filled(request.body),
  }
}

/** The bytes of a request that has been filled in. */
export function bytesOf(request: FuzzRequest): string {
  const { raw, body } = request
  const chunked = raw?.kind === 'chunked'
  const method = raw?.kind === 'method' ? raw.method : request.method
  const version = raw?.kind === 'version' ? raw.version : 'HTTP/1.1'
  const lines = [`${method} ${request.target} ${version}`]
  if (raw?.kind !== 'withoutHost') lines.push('Host: localhost')
  for (const [name, value] of request.headers) lines.push(`${name}: ${value}`)
  if (chunked) lines.push('Transfer-Encoding: chunked')
  else if (body !== null) lines.push(`Content-Length: ${body.length}`)
  if (raw?.kind === 'line') lines.push(raw.line)
  const content = chunked ? chunks(body ?? '', raw.chunk) : (body ?? '')
  const bytes = `${lines.join('\r\n')}\r\n\r\n${content}`
  switch (raw?.kind) {
    case 'splice': {
      const at = raw.at % (bytes.length + 1)
      return `${bytes.slice(0, at)}${raw.insert}${bytes.slice(at + raw.remove)}`
    }
    case 'truncate':
      return bytes.slice(0, raw.at % bytes.length)
    case 'lineFeeds':
      return bytes.replaceAll('\r\n', '\n')
    case 'before':
      return raw.bytes + bytes
    default:
      return bytes
  }
}

function chunks(body: string, chunk: string): string {
  const first = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`
  return `${first}${chunk}0\r\n\r\n`
}

/** Such a request has a connection of its own: it may end it, or be answered without an end. */
export function needsOwnConnection({ raw, method, target, headers, body }: FuzzRequest): boolean {
  return (
    raw !== null ||
    method === 'CONNECT' ||
    /[^\x21-\x7e]/.test(target) ||
    target.length > 8_000 ||
    target.includes('stream') ||
    (body !== null && body.length > 200_000) ||
    headers.some(
      ([name, value]) =>
        closing.has(name.toLowerCase()) || /[^\t\x20-\x7e\x80-\xff]/.test(value) || value.length > 8_000,
    )
  )
}

const closing = new Set(['connection', 'expect', 'upgrade', 'transfer-encoding', 'te', 'content-length', 'host'])

/** For people, who want to send it themselves. */
export function shellCommand(request: FuzzRequest, port: number): string {
  const { method, target, headers, body, raw } = request
  if (raw !== null || /[^\x21-\x7e]/.test(target) || headers.some(([name]) => name === '')) {
    return `printf '%b' '${printfText(bytesOf(request))}' | nc -q 2 127.0.0.1 ${port}`
  }
  const quoted = (text: string) =>
    /^[\x20-\x7e]*$/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `$'${escaped(text)}'`
  const parts = ['curl', '-i', ...(method === 'HEAD' ? ['--head'] : ['-X', method]), '--path-as-is', '-g']
  for (const [name, value] of headers) parts.push('-H', quoted(value === '' ? `${name};` : `${name}: ${value}`))
  if (body !== null) parts.push('--data-binary', quoted(body))
  return [...parts, quoted(`http://127.0.0.1:${port}${target}`)].join(' ')
}

function escaped(bytes: string): string {
  return bytes.replace(/[^\x20-\x7e]|['\\]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function printfText(bytes: string): string {
  return bytes.replace(/[^\x20-\x7e]|['\\]/g, (byte) => {
    if (byte === '\r') return '\\r'
    if (byte === '\n') return '\\n'
    return `\\0${byte.charCodeAt(0).toString(8).padStart(3, '0')}`
  })
}
