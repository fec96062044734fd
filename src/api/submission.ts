import type { Caller } from '../access/access.ts'
import type { CommandResult } from '../commands/commandService.ts'
import type { Command, CommandBody, OpenOperation, ReportStatus } from '../operation/commands.ts'
import { generatedOperationId } from '../operation/eventId.ts'
import { requestHash } from '../operation/requestHash.ts'
import { operationStream } from '../operation/streamName.ts'
import type { CommandHeaders } from './commandHeaders.ts'
import type { ApiContext } from './context.ts'
import type { OpenOperationBody, ReportBody } from './contract/commands.ts'
import { eventText } from './eventText.ts'
import { failureProblem, type Problem, refusalProblem } from './problem.ts'
import { normaliseTime } from './time.ts'

/** Who sends a command, as far as it matters to the command. */
export type CommandSender = Pick<Caller, 'name' | 'binding'>

export function openOperation(body: OpenOperationBody, headers: CommandHeaders, sender: CommandSender): Command {
  const { id, ...rest } = body
  const opening: OpenOperation = { type: 'OpenOperation', ...rest }
  return commandOf(id ?? generatedOperationId(sender.name, headers.key), headers, sender, opening)
}

export function reportStatus(
  operation: string,
  body: ReportBody,
  headers: CommandHeaders,
  sender: CommandSender,
): Command {
  const report: ReportStatus = { type: 'ReportStatus', ...body }
  if (body.observedAt === undefined) return commandOf(operation, headers, sender, report)
  const observedAt = normaliseTime(body.observedAt) ?? body.observedAt
  return commandOf(operation, headers, sender, { ...report, observedAt })
}

function commandOf(operation: string, headers: CommandHeaders, sender: CommandSender, body: CommandBody): Command {
  const { expectedRevision } = headers
  const { name: actor, binding } = sender
  const command = { operation, ...headers, requestHash: requestHash(operation, expectedRevision, body), actor, body }
  return binding?.pipelines === undefined ? command : { ...command, pipelinesAllowed: binding.pipelines }
}

const sinceEventsMax = 100
const sinceBytesMax = 256 * 1024

export type NotAccepted = Exclude<CommandResult, { kind: 'accepted' }>

/** A command that was not accepted, as a problem. A 412 says what happened since the revision the caller knew. */
export async function commandProblem(context: ApiContext, command: Command, result: NotAccepted): Promise<Problem> {
  if (result.kind === 'failed') return failureProblem(result.failure, result.operation, result.key)
  const problem = refusalProblem(result.refusal, result.operation, result.key)
  if (result.refusal.code !== 'revision_mismatch' || command.expectedRevision === undefined) return problem
  return {
    ...problem,
    eventsText: await eventsSince(context, operationStream(command.operation), command.expectedRevision),
  }
}

/** What a stream got after a revision, as a JSON array: the first of it, when it is a lot. */
export async function eventsSince(context: ApiContext, stream: string, revision: bigint): Promise<string> {
  let events: Awaited<ReturnType<typeof context.log.readStream>>
  try {
    const fromRevision = revision + 1n
    events = await context.log.readStream(stream, { fromRevision, maxCount: sinceEventsMax })
  } catch {
    // The refusal stands; what happened since is only courtesy.
    return '[]'
  }
  const texts: string[] = []
  let bytes = 0
  for (const event of events) {
    bytes += event.data.length + event.metadata.length
    if (bytes > sinceBytesMax) break
    texts.push(eventText(event, context.tokens))
  }
  return `[${texts.join(',')}]`
}
