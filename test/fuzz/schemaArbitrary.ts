import fc, { type Arbitrary } from 'fast-check'
import { hostileLiterals, hostileNames } from './corpus.ts'
import type { JsonTree, Mutation, TreeChange } from './jsonTree.ts'

/** The part of JSON Schema that the document uses. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly format?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly propertyNames?: Schema
  readonly additionalProperties?: boolean | Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
}

export type Schemas = Readonly<Record<string, Schema>>

/** Sound texts for members and parameters of a name, so that requests meet on the same few things. */
export type Hints = Readonly<Record<string, readonly string[]>>

const referencePrefix = '#/components/schemas/'

/** JSON that is as the schema says, mostly. */
export function treeOf(schema: Schema, schemas: Schemas, hints: Hints, name = ''): Arbitrary<JsonTree> {
  const of = (inner: Schema, innerName = name) => treeOf(inner, schemas, hints, innerName)
  if (schema.$ref !== undefined) return of(schemas[schema.$ref.slice(referencePrefix.length)] ?? {})
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => of(choice)))
  if (schema.const !== undefined) return fc.constant(JSON.stringify(schema.const))
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map((value) => JSON.stringify(value)))
  switch (schema.type) {
    case 'object':
      return schema.properties === undefined ? recordOf(schema, of) : objectOf(schema, of)
    case 'array': {
      const { items = {}, minItems = 0, maxItems = 4 } = schema
      return fc
        .array(of(items), { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, 4)) })
        .map((values) => ({ items: values }))
    }
    case 'integer': {
      const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema
      const hinted = hints[name]
      if (hinted !== undefined) return fc.constantFrom(...hinted)
      const small = fc.integer({ min: minimum, max: Math.min(maximum, minimum + 5) })
      return fc.oneof({ weight: 9, arbitrary: small }, fc.constantFrom(minimum, maximum)).map(String)
    }
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map(String)
    case 'boolean':
      return fc.constantFrom('true', 'false')
    case 'null':
      return fc.constant('null')
    default:
      return textOf(schema, hints, name).map((text) => JSON.stringify(text))
  }
}

/** A text as the schema says, mostly. */
export function textOf(schema: Schema, hints: Hints, name: string): Arbitrary<string> {
  // A parameter that may be repeated, given once.
  if (schema.type === 'array' && schema.items !== undefined) return textOf(schema.items, hints, name)
  if (schema.type === 'boolean') return fc.constantFrom('true', 'false')
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map(String))
  if (schema.type === 'integer') return fc.integer({ min: schema.minimum ?? 0, max: 20 }).map(String)
  const hinted = hints[name]
  if (hinted !== undefined) return fc.constantFrom(...hinted)
  if (schema.format === 'date-time') return fc.constantFrom(...times)
  if (schema.format === 'uuid') return fc.uuid()
  return fc.string({ unit: fc.constantFrom('a', 'b', 'X', 'Y', '0', '9'), minLength: 1, maxLength: 6 })
}

const times = [
  '2026-11-21T10:00:00Z',
  '2026-11-21T10:00:00.123+01:00',
  '1969-12-31T23:59:59.999Z',
  '2030-01-01T00:00:00Z',
]

function objectOf(schema: Schema, of: (inner: Schema, name: string) => Arbitrary<JsonTree>): Arbitrary<JsonTree> {
  const required = new Set(schema.required)
  const members = Object.entries(schema.properties ?? {}).map(([name, inner]) => {
    const member = of(inner, name).map((value) => [[JSON.stringify(name), value] as const])
    return required.has(name)
      ? member
      : fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: member })
  })
  return fc.tuple(...members).map((parts) => ({ members: parts.flat() }))
}

function recordOf(schema: Schema, of: (inner: Schema, name: string) => Arbitrary<JsonTree>): Arbitrary<JsonTree> {
  const value =
    typeof schema.additionalProperties === 'object'
      ? of(schema.additionalProperties, '')
      : fc.constantFrom(...freeValues)
  const name =
    schema.propertyNames === undefined ? fc.constantFrom('a', 'b', 'c', 'd') : of(schema.propertyNames, 'status')
  const quoted = name.map((text) => (typeof text === 'string' && text.startsWith('"') ? text : JSON.stringify(text)))
  return fc.array(fc.tuple(quoted, value), { maxLength: 4 }).map((members) => ({ members }))
}

const freeValues: readonly string[] = [
  '1',
  '-2.5',
  '"text"',
  'true',
  'null',
  '{"x":1}',
  '{"x":{"y":null}}',
  '[1,"a"]',
  '{}',
  '""',
]

const literal = fc.constantFrom(...hostileLiterals)
const memberName = fc.constantFrom(...hostileNames).map((text) => JSON.stringify(text))

const change: Arbitrary<TreeChange> = fc.oneof(
  { weight: 6, arbitrary: literal.map((text) => ({ kind: 'replace' as const, literal: text })) },
  { weight: 3, arbitrary: fc.constant({ kind: 'remove' as const }) },
  {
    weight: 3,
    arbitrary: fc.tuple(memberName, literal).map(([name, text]) => ({ kind: 'add' as const, name, literal: text })),
  },
  { weight: 1, arbitrary: literal.map((text) => ({ kind: 'repeat' as const, literal: text })) },
  { weight: 1, arbitrary: memberName.map((name) => ({ kind: 'rename' as const, name })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(1, 2, 28, 30, 31, 32, 33, 200, 5_000), fc.boolean())
      .map(([depth, inArrays]) => ({ kind: 'wrap' as const, depth, inArrays })),
  },
)

/** None, most of the time: what is behind the checks wants to be met as well. */
export const mutations: Arbitrary<readonly Mutation[]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant([]) },
  { weight: 5, arbitrary: fc.array(fc.record({ at: fc.nat(60), change }), { minLength: 1, maxLength: 3 }) },
)
