import type { z } from 'zod'
import { problem } from './problem.ts'

const statusTexts: Readonly<Record<number, string>> = {
  400: 'Not valid.',
  401: 'A key is needed, and this is none that is in force.',
  403: "The key's roles, or what it is bound to, do not allow it.",
  404: 'Not found.',
  406: 'No acceptable form of the answer.',
  408: 'The request took too long to arrive.',
  409: 'The pipeline does not allow it now.',
  410: 'The position is of another log.',
  412: 'At another revision than `If-Match` says.',
  413: 'Too large.',
  415: 'The content type is not supported.',
  422: 'The idempotency key was used for another command.',
  429: 'More requests with this key than the service is set to take.',
  500: 'An error of the service.',
  503: 'Not possible now; try again later.',
}

interface Answer {
  readonly description: string
  readonly content: Readonly<Record<string, { readonly schema: z.ZodType }>>
}

/** Problems by status, for the `response` of a route that asks who is there. 400, 401, 403, 408, 429, 500 and 503 are always among them. */
export function problemAnswers(...statuses: readonly number[]): Record<number, Answer> {
  return openProblemAnswers(401, 403, 429, ...statuses)
}

/** The same for a route that lets everybody in. 400, 408, 500 and 503 are always among them. */
export function openProblemAnswers(...statuses: readonly number[]): Record<number, Answer> {
  const answers: Record<number, Answer> = {}
  for (const status of [400, 408, 500, 503, ...statuses]) {
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
