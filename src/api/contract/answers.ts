import type { z } from 'zod'
import { problem } from './problem.ts'

const statusTexts: Readonly<Record<number, string>> = {
  400: 'Not valid.',
  404: 'Not found.',
  406: 'No acceptable form of the answer.',
  408: 'The body took too long to arrive.',
  409: 'The pipeline does not allow it now.',
  410: 'The position is of another log.',
  412: 'The operation is at another revision.',
  413: 'Too large.',
  415: 'The content type is not supported.',
  422: 'The idempotency key was used for another command.',
  500: 'An error of the service.',
  503: 'Not possible now; try again later.',
}

interface Answer {
  readonly description: string
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>
}

/** Problems by status, for a route's `response`. 400, 500 and 503 are always among them. */
export function problemAnswers(...statuses: readonly number[]): Record<number, Answer> {
  const answers: Record<number, Answer> = {}
  for (const status of [400, 500, 503, ...statuses]) {
    answers[status] = {
      description: statusTexts[status] ?? '',
      content: { 'application/problem+json': { schema: problem } },
    }
  }
  return answers
}

export function jsonAnswer(description: string, schema: z.ZodType): Answer {
  return { description, content: { 'application/json': { schema } } }
}
