import type { FastifySchemaCompiler, FastifyTypeProvider } from 'fastify'
import type { z } from 'zod'
import { isOperationId } from '../operation/names.ts'
import { reportBody } from './contract/commands.ts'
import { operationParams, operationQuery } from './contract/operations.ts'
import { noQuery } from './contract/paging.ts'
import { jsonPointer } from './jsonPointer.ts'
import { type Fault, ProblemError } from './problem.ts'
import { isSoundReport } from './quickReport.ts'
import { wording } from './validationWording.ts'

/** Types of a route's input from its zod schemas. Answers are prebuilt text, so nothing is said of them. */
export interface ZodInput extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  serializer: unknown
}

const parts: Readonly<Record<string, Fault['in']>> = { body: 'body', querystring: 'query', params: 'path' }

const checkedElsewhere = new WeakSet<z.ZodType>()

/** A body's schema that is for the document alone: the route, or the domain behind it, checks the body by itself. */
export function documentOnly<T extends z.ZodType>(schema: T): T {
  checkedElsewhere.add(schema)
  return schema
}

/** Validation is of input only: parsing the answers as well was measured at half of a request's time. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  // Headers are read by commandHeaders.ts; their schema is for the document.
  if (httpPart === undefined || httpPart === 'headers' || checkedElsewhere.has(schema)) return passOn
  const part = parts[httpPart] ?? 'body'
  const isSound = quickChecks.get(schema) ?? doubtful
  return (value) => {
    if (isSound(value)) return { value }
    // Zod passes over a member of this name where others may follow. In a body it has been refused already (strictJson.ts).
    if (part === 'query' && Object.hasOwn(value, '__proto__')) return { error: unknownParameter('__proto__') }
    const result = schema.safeParse(value, { error: wording(part) })
    return result.success ? { value: result.data } : { error: invalidInput(part, result.error.issues) }
  }
}

/** What every report and most reads of one operation pass, judged by hand as its body is: true only of what zod takes just as it is. */
const quickChecks = new Map<z.ZodType, (value: unknown) => boolean>([
  [reportBody, isSoundReport],
  [operationParams, isSoundOperationParams],
  [noQuery, isEmpty],
  [operationQuery, isEmpty],
])

/** Fastify makes `params` of the route's own path: there is no other member. */
function isSoundOperationParams(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'id' in value && isId(value.id)
}

const isId = (id: unknown) => typeof id === 'string' && isOperationId(id)

function isEmpty(value: unknown): boolean {
  for (const _ in value as object) return false
  return true
}

const doubtful = (_value: unknown) => false

const passOn = (value: unknown) => ({ value })

function unknownParameter(name: string): ProblemError {
  return invalidInput('query', [{ code: 'unrecognized_keys', keys: [name], path: [], message: '' }])
}

const faultsMax = 20

export function invalidInput(part: Fault['in'], issues: readonly z.core.$ZodIssue[]): ProblemError {
  const faults: Fault[] = []
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) faults.push(fault(part, [...issue.path, key], 'is not known here'))
    } else {
      faults.push(fault(part, issue.path, issue.message))
    }
  }
  return new ProblemError({
    code: 'invalid',
    detail: part === 'body' ? 'The body is not as it must be.' : `The ${part} is not as it must be.`,
    errors: faults.slice(0, faultsMax),
  })
}

function fault(part: Fault['in'], path: readonly PropertyKey[], detail: string): Fault {
  return { in: part, pointer: jsonPointer(path), detail }
}
