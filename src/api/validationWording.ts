import type { z } from 'zod'
import type { Fault } from './problem.ts'

/**
 * What is wrong, for who sent it: zod's own messages speak of JavaScript's types ("received undefined"). A message that the
 * contract has for a member goes before.
 */
export function wording(part: Fault['in']): (issue: z.core.$ZodRawIssue) => string {
  return (issue) => {
    // A parameter that is given twice arrives as an array.
    if (part === 'query' && Array.isArray(issue.input)) return 'is given more than once'
    if (issue.input === undefined) return 'is missing'
    switch (issue.code) {
      case 'invalid_type':
        return `must be ${types[issue.expected] ?? 'of another type'}`
      case 'invalid_value':
        return `must be ${oneOf(issue.values)}`
      case 'too_small':
        return `must be at least ${amount(issue.minimum, issue.origin)}`
      case 'too_big':
        return `must be at most ${amount(issue.maximum, issue.origin)}`
      default:
        return 'is not as it must be'
    }
  }
}

const types: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'an array',
  null: 'null',
}

function amount(count: number | bigint, origin: string): string {
  const [one, several] =
    origin === 'string' ? ['character', 'characters'] : origin === 'array' ? ['entry', 'entries'] : []
  return one === undefined ? String(count) : `${count} ${count === 1 ? one : several} long`
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => JSON.stringify(value))
  return shown.length === 1 ? (shown[0] ?? '') : `one of ${shown.join(', ')}`
}
