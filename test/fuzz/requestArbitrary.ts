import fc, { type Arbitrary } from 'fast-check'
import type { ApiDocument, Operation } from './apiDocument.ts'
import { commonHints, pathHints } from './hints.ts'
import { accepts, contentTypes, hostileHeaders, hostileTargets, methods, oddHeaders } from './httpCorpus.ts'
import { type JsonTree, mutate, treeText } from './jsonTree.ts'
import { rawChange, splice } from './rawChanges.ts'
import { type Hints, mutations, textOf, treeOf } from './schemaArbitrary.ts'
import type { FuzzRequest } from './wire.ts'

/** Roles of the keys that the fuzzer has, each under the name of its placeholder. */
export const keyRoles = ['service', 'definer', 'viewer', 'auditor', 'operator'] as const

/** Of a thousand; 20 for those not named. The last three stop or undo what other requests need. */
const weights: Readonly<Record<string, number>> = {
  reportStatus: 260,
  openOperation: 100,
  sendCommands: 100,
  getOperation: 90,
  listOperations: 50,
  getCommandOutcome: 50,
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
    'Bearer',
    'Bearer ',
    'bearer {{service}}',
    'Bearer {{service}}x',
    'Bearer  {{service}}',
    'Bearer {{service}} ',
    '{{service}}',
    'Basic dXNlcjpwYXNz',
    'Bearer {{flipped}}',
    'Bearer {{revoked}}',
    'Bearer null',
    'Bearer {{service}},{{viewer}}',
    '',
    'Bearer \xff',
  )
  // It has the role, and may not do all that others with the role may.
  const bound = role === 'service' || role === 'definer' ? fc.constant(key('bound')) : own
  return fc.oneof(
    { weight: 76, arbitrary: own },
    { weight: 12, arbitrary: bound },
    { weight: 5, arbitrary: fc.constantFrom(...keyRoles).map(key) },
    { weight: 2, arbitrary: fc.constant([]) },
    { weight: 5, arbitrary: altered.map((value) => [['authorization', value] as const]) },
  )
}

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
