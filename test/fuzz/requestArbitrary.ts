import fc, { type Arbitrary } from 'fast-check'
import type { ApiDocument, Operation } from './apiDocument.ts'
import {
  accepts,
  contentTypes,
  hostileBytes,
  hostileHeaders,
  hostileTargets,
  methods,
  oddHeaders,
  rawMethods,
} from './corpus.ts'
import { type JsonTree, mutate, treeText } from './jsonTree.ts'
import { type Hints, mutations, textOf, treeOf } from './schemaArbitrary.ts'
import type { FuzzRequest, RawChange } from './wire.ts'

/** Roles of the keys that the fuzzer has, each under the name of its placeholder. */
export const keyRoles = ['service', 'viewer', 'auditor', 'operator'] as const

const statuses = ['new', 'status1', 'status2', 'done', 'left', 'right', 'odd one'] as const

/** What requests meet on. `{{epoch}}` moves on during a run, so that operations begin anew. */
const commonHints: Hints = {
  id: ['op-{{epoch}}-1', 'op-{{epoch}}-2', 'op-{{epoch}}-3', 'op-{{epoch}}-4', 'op-{{epoch}}-5'],
  operation: ['op-{{epoch}}-1', 'op-{{epoch}}-2', 'op-{{epoch}}-3', 'op-{{epoch}}-4', 'op-{{epoch}}-5'],
  idPrefix: ['op-', 'op-{{epoch}}', 'x'],
  pipeline: ['any', 'linear', 'parallel', 'p-1', 'p-2', 'nowhere'],
  status: statuses,
  initial: statuses,
  in: statuses,
  statuses,
  service: ['ocr', 'mail', 'bank'],
  track: ['main', 'left', 'right'],
  theme: ['billing', 'a b'],
  command: Array.from({ length: 40 }, (_, n) => `k-${n}`),
  'idempotency-key': Array.from({ length: 40 }, (_, n) => `k-${n}`),
  minPosition: ['{{position}}', '{{otherLog}}', '{{future}}'],
  after: ['{{position}}', '{{position}}', '{{otherLog}}', '{{future}}', 'head'],
  'last-event-id': ['{{position}}', '{{otherLog}}'],
  pageToken: ['W10', '{{pageToken}}'],
  'if-match': ['"0"', '"1"', '"2"', '"7"'],
  'if-none-match': ['"0"', '"1"', '"2"', '"7"'],
  pipelineVersion: ['1', '1', '1', '2'],
  traceparent: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  prefer: ['wait=0'],
  stream: ['operation-op-{{epoch}}-1', 'operation-x'],
  reason: ['seen to'],
}

/** Paths' own: what a `name` is. */
const pathHints: readonly (readonly [prefix: string, hints: Hints])[] = [
  ['/v1/pipelines', { name: ['any', 'linear', 'p-1', 'p-2', 'p-{{epoch}}', 'nowhere'] }],
  ['/v1/projections', { name: ['operations', 'operations', 'nothing'], id: ['00000000-0000-4000-8000-000000000000'] }],
  ['/v1/keys', { name: Array.from({ length: 20 }, (_, n) => `fuzz-${n}`) }],
]

/** Of a thousand; 20 for those not named. The last three stop or undo what other requests need. */
const weights: Readonly<Record<string, number>> = {
  reportStatus: 260,
  openOperation: 100,
  sendCommands: 100,
  getOperation: 90,
  listOperations: 50,
  definePipeline: 50,
  createKey: 4,
  revokeKey: 8,
  streamEvents: 5,
  streamOperations: 5,
  getMetrics: 3,
  pauseProjection: 1,
  rebuildProjection: 1,
  resumeProjection: 4,
}

export function requestArbitrary(document: ApiDocument): Arbitrary<FuzzRequest> {
  return fc.oneof(
    ...document.operations.map((operation) => ({
      weight: weights[operation.id] ?? 20,
      arbitrary: requestOf(operation, document),
    })),
  )
}

function requestOf(operation: Operation, document: ApiDocument): Arbitrary<FuzzRequest> {
  const hints = { ...commonHints, ...pathHints.find(([prefix]) => operation.path.startsWith(prefix))?.[1] }
  const { method, body } = operation
  const line = body === null ? null : treeOf(body.schema, document.schemas, hints)
  const lines = body?.type === 'application/x-ndjson'
  return fc
    .record({
      method: rarely(2, fc.constant(method), fc.constantFrom(...methods)),
      target: targetOf(operation, hints),
      headers: headersOf(operation, hints),
      body:
        line === null
          ? rarely(1, fc.constant(null), fc.constantFrom('{}', '', 'x'))
          : lines
            ? ndjsonOf(line)
            : jsonOf(line),
      raw: rarely(3, fc.constant(null), rawChange),
    })
    .map(({ body: content, ...request }) => ({ ...request, body: content }))
}

function rarely<T, U>(percent: number, usual: Arbitrary<T>, rare: Arbitrary<U>): Arbitrary<T | U> {
  return fc.oneof({ weight: 100 - percent, arbitrary: usual }, { weight: percent, arbitrary: rare })
}

const hostileTarget = fc.constantFrom(...hostileTargets)

function targetOf({ path, parameters }: Operation, hints: Hints): Arbitrary<string> {
  const segments = path.split('/').map((segment): Arbitrary<string> => {
    const [, name] = /^\{(\w+)\}$/.exec(segment) ?? []
    if (name === undefined) return fc.constant(segment)
    const schema = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.schema ?? {}
    return rarely(12, textOf(schema, hints, name).map(encoded), hostileTarget)
  })
  const place = rarely(
    1,
    fc.tuple(...segments).map((parts) => parts.join('/')),
    fc.constantFrom(
      '/',
      '//',
      '/v1',
      '/v1/',
      '/v1//operations',
      '/v2/operations',
      '*',
      '/docs',
      '/docs/..',
      '/V1/operations',
      `${path}/`,
      `${path}/x`,
      'http://fuzz/livez',
      '/openapi.json',
      '/v1/operations/%2e%2e',
    ),
  )
  const known = parameters.filter((parameter) => parameter.in === 'query')
  const sound = known.map(({ name, schema }) =>
    rarely(
      12,
      textOf(schema, hints, name).map((value) => `${name}=${encoded(value)}`),
      hostileTarget.map((value) => `${name}=${value}`),
    ),
  )
  const parameter = fc.oneof(
    ...sound.map((arbitrary) => ({ weight: 4, arbitrary })),
    { weight: 1, arbitrary: hostileTarget.map((value) => `metadata.a=${value}`) },
    { weight: 1, arbitrary: hostileTarget.map((value) => `${value}=1`) },
    { weight: 1, arbitrary: hostileTarget },
  )
  const none = { weight: known.length === 0 ? 30 : 3, arbitrary: fc.constant([]) }
  const query = fc.oneof(none, { weight: 4, arbitrary: fc.array(parameter, { minLength: 1, maxLength: 3 }) })
  return fc.tuple(place, query).map(([to, asked]) => (asked.length === 0 ? to : `${to}?${asked.join('&')}`))
}

/** Placeholders stand as they are. */
const encoded = (text: string) => encodeURIComponent(text).replaceAll('%7B%7B', '{{').replaceAll('%7D%7D', '}}')

/** Of one that is hostile. Without `prefer`, what is waited for is waited for; with `if-match`, little is let through. */
const headerWeights: Readonly<Record<string, { readonly none: number; readonly sound: number }>> = {
  prefer: { none: 0, sound: 40 },
  'if-match': { none: 12, sound: 2 },
}

function headersOf({ role, body, parameters }: Operation, hints: Hints): Arbitrary<FuzzRequest['headers']> {
  const known = parameters
    .filter((parameter) => parameter.in === 'header')
    .map(({ name, schema }) => {
      const { none, sound } = headerWeights[name] ?? { none: 8, sound: 8 }
      return fc.oneof(
        { weight: none, arbitrary: fc.constant([]) },
        { weight: sound, arbitrary: textOf(schema, hints, name).map((value) => [[name, value] as const]) },
        { weight: 1, arbitrary: fc.constantFrom(...hostileHeaders).map((value) => [[name, value] as const]) },
      )
    })
  const type =
    body === null
      ? fc.constant([])
      : rarely(
          4,
          fc.constant([['content-type', body.type] as const]),
          fc.oneof(
            fc.constant([]),
            fc.constantFrom(...contentTypes).map((value) => [['content-type', value] as const]),
          ),
        )
  const accept = rarely(
    10,
    fc.constant([]),
    fc.constantFrom(...accepts).map((value) => [['accept', value] as const]),
  )
  const odd = rarely(
    3,
    fc.constant([]),
    fc.constantFrom(...oddHeaders).map((header) => [header]),
  )
  return fc.tuple(authorization(role), type, accept, odd, ...known).map((parts) => parts.flat())
}

function authorization(role: string | null): Arbitrary<readonly (readonly [string, string])[]> {
  const key = (name: string) => [['authorization', `Bearer {{${name}}}`] as const]
  const own = fc.constant(role === null ? [] : key(role))
  const altered = fc.constantFrom(
    ...[
      'Bearer',
      'Bearer ',
      'bearer {{service}}',
      'Bearer {{service}}x',
      'Bearer  {{service}}',
      'Bearer {{service}} ',
      '{{service}}',
    ],
    ...[
      'Basic dXNlcjpwYXNz',
      'Bearer {{flipped}}',
      'Bearer {{revoked}}',
      'Bearer null',
      'Bearer {{service}},{{viewer}}',
      '',
      'Bearer \xff',
    ],
  )
  return fc.oneof(
    { weight: 88, arbitrary: own },
    { weight: 5, arbitrary: fc.constantFrom(...keyRoles).map(key) },
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 5, arbitrary: altered.map((value) => [['authorization', value] as const]) },
  )
}

const hostilePiece = fc.constantFrom(...hostileBytes)
const splice = fc.record({ at: fc.nat(3_000), remove: fc.nat(3), insert: hostilePiece })

function jsonOf(tree: Arbitrary<JsonTree>): Arbitrary<string> {
  return withBytes(documentOf(tree))
}

function documentOf(tree: Arbitrary<JsonTree>): Arbitrary<string> {
  return fc.tuple(tree, mutations).map(([sound, changes]) => utf8(treeText(changes.reduce(mutate, sound))))
}

function ndjsonOf(tree: Arbitrary<JsonTree>): Arbitrary<string> {
  const line = rarely(
    8,
    documentOf(tree),
    fc.constantFrom('', ' ', '\t', 'x', '[]', 'null', '\xef\xbb\xbf{}', '\xff', '\x00', 'z'.repeat(70_000)),
  )
  const ending = fc.constantFrom('\n', '\n', '\n', '\r\n', '\n\n', '\r')
  const text = fc
    .tuple(fc.array(line, { minLength: 1, maxLength: 6 }), ending, fc.boolean())
    .map(([lines, end, closed]) => lines.join(end) + (closed ? end : ''))
  return withBytes(text)
}

function withBytes(text: Arbitrary<string>): Arbitrary<string> {
  return fc.tuple(text, rarely(6, fc.constant(null), splice)).map(([bytes, change]) => {
    if (change === null) return bytes
    const at = change.at % (bytes.length + 1)
    return `${bytes.slice(0, at)}${change.insert}${bytes.slice(at + change.remove)}`
  })
}

function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

const rawChange: Arbitrary<RawChange> = fc.oneof(
  splice.map((change) => ({ kind: 'splice' as const, ...change })),
  fc.nat(1_000).map((at) => ({ kind: 'truncate' as const, at })),
  fc.constantFrom(...rawMethods).map((method) => ({ kind: 'method' as const, method })),
  fc
    .constantFrom(
      'HTTP/1.0',
      'HTTP/0.9',
      'HTTP/1.2',
      'HTTP/2.0',
      'http/1.1',
      'HTTP/1.1 ',
      'HTTP/11',
      '',
      'HTTP',
      'ICE/1.0',
    )
    .map((version) => ({ kind: 'version' as const, version })),
  fc
    .constantFrom(
      ...[
        'no colon',
        'A : b',
        ': b',
        'A\0: b',
        'A: b\0c',
        ' folded',
        '\tfolded',
        'A: b\r\n folded',
        'A: b\rC: d',
        'A: \x7f',
        'Ä: b',
      ],
      ...[
        'Content-Length: 0',
        'Content-Length: -1',
        'Content-Length: +2',
        'Content-Length: 0x2',
        'Content-Length: 2, 2',
        'Content-Length:',
      ],
      ...[
        'Content-Length: 99999999999999999999',
        'Content-Length: 5',
        'Transfer-Encoding: chunked',
        'Transfer-Encoding: gzip, chunked',
      ],
      ...[
        'Transfer-Encoding: chunked, chunked',
        'Transfer-Encoding: xchunked',
        'Transfer-Encoding : chunked',
        'Transfer-Encoding: \x0bchunked',
      ],
      ...[
        'Host: another',
        'Host:',
        'HOST: fuzz',
        'Authorization: Bearer {{operator}}',
        'Idempotency-Key: two',
        'If-Match: "3"',
      ],
      ...[
        'Content-Type: text/plain',
        'Connection: keep-alive, Content-Type',
        'Trailer: Authorization',
        `A: ${'b'.repeat(20_000)}`,
      ],
      ...[Array.from({ length: 3_000 }, (_, n) => `a${n}: b`).join('\r\n')],
    )
    .map((line) => ({ kind: 'line' as const, line })),
  fc.constant({ kind: 'lineFeeds' as const }),
  fc.constant({ kind: 'withoutHost' as const }),
  fc
    .constantFrom(
      '\r\n',
      '\r\n\r\n\r\n',
      '\n',
      ' ',
      '\0',
      '\x16\x03\x01\x02\x00\x01\x00',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'GET /livez\r\n',
    )
    .map((bytes) => ({ kind: 'before' as const, bytes })),
  fc
    .constantFrom(
      '',
      '0;a=b\r\n\r\n',
      'zz\r\na\r\n',
      '-1\r\na\r\n',
      'ffffffffffffffffff\r\na\r\n',
      '1\r\nab\r\n',
      '1 \r\na\r\n',
      '1;a="b\r\n"\r\na\r\n',
      '1\na\n',
      '5\r\na',
      '+1\r\na\r\n',
    )
    .map((chunk) => ({ kind: 'chunked' as const, chunk })),
)
