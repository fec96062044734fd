import type { z } from 'zod'
import type { Command } from '../../operation/commands.ts'
import { isJsonObject, type JsonObject } from '../../operation/json.ts'
import { isOperationId, keyPattern } from '../../operation/names.ts'
import { bindingFault } from '../binding.ts'
import { type CommandHeaders, commandEnvelope } from '../commandHeaders.ts'
import { openOperationLine, reportLine } from '../contract/commands.ts'
import type { Problem } from '../problem.ts'
import { isSoundReportLine } from '../quickReport.ts'
import { parseStrictJsonText } from '../strictJson.ts'
import { type CommandSender, openOperation, reportStatus } from '../submission.ts'
import { invalidInput } from '../validation.ts'
import { wording } from '../validationWording.ts'
import type { Line } from './lineSplitter.ts'

const bodyWording = { error: wording('body') }

export type ParsedLine =
  | { readonly ok: true; readonly command: Command }
  | { readonly ok: false; readonly problem: Problem }

export interface LineLimits {
  readonly bodyBytesMax: number
  readonly jsonDepthMax: number
}

/** What the lines of one request share. */
export interface LineSender {
  readonly caller: CommandSender
  readonly traceparent: string | undefined
}

export function parseCommandLine(line: Line, limits: LineLimits, sender: LineSender): ParsedLine {
  if ('fault' in line) {
    return line.fault === 'too_long'
      ? failed({ code: 'too_large', detail: `The line is longer than ${limits.bodyBytesMax} bytes.` })
      : failed({ code: 'invalid', detail: `The line is not valid UTF-8: see offset ${line.offset}.` })
  }
  const json = parseStrictJsonText(line.text, limits.jsonDepthMax)
  if (!json.ok) return failed(json.problem)
  if (!isJsonObject(json.value)) return failed({ code: 'invalid', detail: 'The line is not a JSON object.' })
  return toCommand(json.value, sender)
}

function toCommand(value: JsonObject, sender: LineSender): ParsedLine {
  switch (value.type) {
    case 'ReportStatus': {
      if (!isSoundReportLine(value)) {
        const parsed = reportLine.safeParse(value, bodyWording)
        if (!parsed.success) return refused(value, parsed.error.issues)
        return reportOf(parsed.data, sender)
      }
      return reportOf(value, sender)
    }
    case 'OpenOperation': {
      const parsed = openOperationLine.safeParse(value, bodyWording)
      if (!parsed.success) return refused(value, parsed.error.issues)
      const { type: _type, command, operation, expectedRevision, ...body } = parsed.data
      const opening = operation === undefined ? body : { ...body, id: operation }
      const headers = envelope(command, expectedRevision, sender)
      return allowed(openOperation(opening, headers, sender.caller), sender)
    }
    default:
      return failed({
        code: 'invalid',
        detail: 'The line names no command that is known here.',
        errors: [{ in: 'body', pointer: '/type', detail: 'must be OpenOperation or ReportStatus' }],
        ...identity(value),
      })
  }
}

function reportOf(line: z.output<typeof reportLine>, sender: LineSender): ParsedLine {
  const { type: _type, command, operation, expectedRevision, ...body } = line
  const headers = envelope(command, expectedRevision, sender)
  return allowed(reportStatus(operation, body, headers, sender.caller), sender)
}

function allowed(command: Command, { caller }: LineSender): ParsedLine {
  const fault = bindingFault(caller.binding, command)
  return fault === null ? { ok: true, command } : failed(fault)
}

function envelope(
  command: string | undefined,
  expectedRevision: number | undefined,
  { traceparent }: LineSender,
): CommandHeaders {
  return commandEnvelope(command, expectedRevision === undefined ? undefined : BigInt(expectedRevision), traceparent)
}

function refused(value: JsonObject, issues: Parameters<typeof invalidInput>[1]): ParsedLine {
  return failed({ ...invalidInput('body', issues).problem, ...identity(value) })
}

function failed(problem: Problem): ParsedLine {
  return { ok: false, problem }
}

/** What can be told of a bad line, so that its sender finds it. */
function identity(value: JsonObject): { operation?: string; command?: string } {
  const { operation, command } = value
  return {
    ...(typeof operation === 'string' && isOperationId(operation) ? { operation } : {}),
    ...(typeof command === 'string' && keyPattern.test(command) ? { command } : {}),
  }
}
