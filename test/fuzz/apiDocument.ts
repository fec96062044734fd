import { z } from 'zod'
import type { Schema, Schemas } from './schemaArbitrary.ts'

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema: Schema
}

interface DocumentedAnswer {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>
}

interface DocumentedOperation {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<Record<string, DocumentedAnswer>>
  readonly security?: readonly { readonly key?: readonly string[] }[]
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>
  readonly components: { readonly schemas: Schemas }
}

export interface Operation {
  readonly id: string
  readonly method: string
  /** `/v1/operations/{id}`. */
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: { readonly type: string; readonly schema: Schema } | null
  /** Role of a key that may call it; null: anybody. */
  readonly role: string | null
  /** By status and content type; null: no body. */
  readonly answers: ReadonlyMap<number, ReadonlyMap<string, z.ZodType>>
}

export interface ApiDocument {
  readonly schemas: Schemas
  readonly operations: readonly Operation[]
  /** The operation a request goes to; `path`: one knows the path, and not the method; null: none does. */
  find(method: string, path: string): Operation | 'path' | null
  readonly problem: z.ZodType
}

export function readDocument(document: OpenApi): ApiDocument {
  const { schemas } = document.components
  const compile = compiler(schemas)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => readOperation(method.toUpperCase(), path, operation, compile)),
  )
  const forms = operations.map((operation) => ({ operation, segments: operation.path.split('/') }))
  // A literal segment goes before a parameter, as in the router.
  forms.sort((one, other) => parametersOf(one.segments) - parametersOf(other.segments))
  return {
    schemas,
    operations,
    problem: compile({ $ref: '#/components/schemas/Problem' }),
    find(method, path) {
      const segments = path.split('/')
      const found = forms.filter((form) => fits(form.segments, segments))
      const [first] = found
      if (first === undefined) return null
      const same = found.filter(({ operation }) => operation.path === first.operation.path)
      const asked = method === 'HEAD' ? 'GET' : method
      return same.find(({ operation }) => operation.method === asked)?.operation ?? 'path'
    },
  }
}

function fits(form: readonly string[], segments: readonly string[]): boolean {
  return (
    form.length === segments.length && form.every((part, index) => part.startsWith('{') || part === segments[index])
  )
}

const parametersOf = (segments: readonly string[]) => segments.filter((part) => part.startsWith('{')).length

function readOperation(
  method: string,
  path: string,
  { operationId, parameters = [], requestBody, responses, security }: DocumentedOperation,
  compile: (schema: Schema) => z.ZodType,
): Operation {
  const [body] = Object.entries(requestBody?.content ?? {})
  const answers = new Map<number, ReadonlyMap<string, z.ZodType>>()
  for (const [status, { content = {} }] of Object.entries(responses)) {
    answers.set(Number(status), new Map(Object.entries(content).map(([type, { schema }]) => [type, compile(schema)])))
  }
  return {
    id: operationId,
    method,
    path,
    parameters,
    body: body === undefined ? null : { type: body[0], schema: body[1].schema },
    role: security?.[0]?.key?.[0] ?? null,
    answers,
  }
}

/** Each schema once, and every reference resolved. */
function compiler(schemas: Schemas): (schema: Schema) => z.ZodType {
  const local = (value: unknown) => JSON.parse(JSON.stringify(value).replaceAll('#/components/schemas/', '#/$defs/'))
  const definitions = local(schemas)
  const compiled = new Map<string, z.ZodType>()
  return (schema) => {
    const text = JSON.stringify(schema)
    const known = compiled.get(text) ?? z.fromJSONSchema({ ...local(schema), $defs: definitions })
    compiled.set(text, known)
    return known
  }
}
