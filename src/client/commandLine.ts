import type { OpenOperation, Report } from './contract.ts'
import { jsonText } from './jsonText.ts'

/** A command as it is sent, in text: what its caller changes afterwards changes no retry. */
export interface CommandLine {
  readonly type: 'OpenOperation' | 'ReportStatus'
  /** Undefined: the server makes the id. */
  readonly operation: string | undefined
  readonly key: string
  readonly expectedRevision: number | undefined
  /** The body of a request of its own. */
  readonly body: string
  /** The line of a bulk request, with its newline. */
  readonly line: string
}

export function openLine(
  { id, ...body }: OpenOperation,
  key: string,
  expectedRevision: number | undefined,
): CommandLine {
  const fields = jsonText(body)
  const ofItsOwn = id === undefined ? fields : joined({ id }, fields)
  return lineOf('OpenOperation', id, key, expectedRevision, ofItsOwn, fields)
}

export function reportLine(
  operation: string,
  report: Report,
  key: string,
  expectedRevision: number | undefined,
): CommandLine {
  const body = jsonText(report)
  return lineOf('ReportStatus', operation, key, expectedRevision, body, body)
}

function lineOf(
  type: CommandLine['type'],
  operation: string | undefined,
  key: string,
  expectedRevision: number | undefined,
  body: string,
  fields: string,
): CommandLine {
  const line = `${joined({ command: key, type, operation, expectedRevision }, fields)}\n`
  return { type, operation, key, expectedRevision, body, line }
}

/** The members of an object, then those of another that is JSON already. */
function joined(first: object, fields: string): string {
  const head = jsonText(first).slice(0, -1)
  return fields === '{}' ? `${head}}` : `${head},${fields.slice(1)}`
}
