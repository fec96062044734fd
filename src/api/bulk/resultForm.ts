import type { PositionTokens } from '../positionToken.ts'
import { type Problem, problemStatus, problemText } from '../problem.ts'
import { type Accepted, acceptedLine } from '../receiptText.ts'

/** How the results of a bulk request are written: text that is ''  is not. */
export interface ResultForm {
  accepted(result: Accepted): string
  refused(problem: Problem, line: number): string
  /** What ends the answer once each of the lines has its result; `failed` of them were refused. */
  end(lines: number, failed: number): string
}

const path = '/v1/commands'

/** A line for each line. */
export function allResults(tokens: PositionTokens): ResultForm {
  return {
    accepted: (result) => acceptedLine(result, tokens),
    refused: (problem, line) => refusedLine({}, problem, line),
    end: () => '',
  }
}

/** A line for each that was refused, with its number, and one that tells how many there were. */
export const failedResults: ResultForm = {
  accepted: () => '',
  refused: (problem, line) => refusedLine({ line }, problem, line),
  end: (lines, failed) => `${JSON.stringify({ lines, failed })}\n`,
}

function refusedLine(first: { readonly line?: number }, problem: Problem, line: number): string {
  const { operation, command } = problem
  const members = {
    ...first,
    ...(operation === undefined ? {} : { operation }),
    ...(command === undefined ? {} : { command }),
    httpStatus: problemStatus(problem),
  }
  return `${JSON.stringify(members).slice(0, -1)},"problem":${problemText(problem, `${path}#${line}`)}}\n`
}

/** The last line of an answer that ends before its request: commands were read up to the line `readUpTo`. */
export function cutLine(problem: Problem, readUpTo: number): string {
  const told = { ...problem, detail: `${problem.detail} ${extent(readUpTo)}` }
  const members = JSON.stringify({ httpStatus: problemStatus(problem), readUpTo })
  return `${members.slice(0, -1)},"problem":${problemText(told, path)}}\n`
}

function extent(readUpTo: number): string {
  return readUpTo === 0
    ? 'No line was read.'
    : `Lines were read up to line ${readUpTo}; what comes after it was not tried.`
}
