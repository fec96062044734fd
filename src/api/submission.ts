import type { FastifyReply } from 'fastify'
import type { Caller } from '../access/access.ts'
import type { CommandResult } from '../commands/commandService.ts'
import type { Command, CommandBody, OpenOperation, ReportStatus } from '../operation/commands.ts'
import { generatedOperationId } from '../operation/eventId.ts'
import { requestHash } from '../operation/requestHash.ts'
import { createSemaphore } from '../runtime/semaphore.ts'
import { mayReadEvents, ownerOf } from './accessControl.ts'
import type { CommandHeaders } from './commandHeaders.ts'
import type { ApiContext } from './context.ts'
import type { OpenOperationBody, ReportBody } from './contract/commands.ts'
import { eventText } from './eventText.ts'
import { failureProblem, type Problem, refusalProblem } from './problem.ts'
import { normaliseTime } from './time.ts'
import { turnToAnswer } from './unreadAnswers.ts'

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
/** So many requests read at once: what they read is counted only when it is answered. */
const reading = createSemaphore(2)

export type NotAccepted = Exclude<CommandResult, { kind: 'accepted' }>

/** A command that was not accepted, as a problem. */
export function commandProblem(result: NotAccepted): Problem {
  if (result.kind === 'failed') return failureProblem(result.failure, result.operation, result.key)
  return refusalProblem(result.refusal, result.operation, result.key)
}

export interface Asker {
  readonly caller: Caller
  readonly reply: FastifyReply
}

/**
 * For a 412: what happened since the revision that the caller knew, told to whom may read events; nothing for other
 * problems and other callers. Read in the answer's turn, and only where there is room for it: it is a courtesy.
 */
export async function sinceExpected(
  context: ApiContext,
  stream: string,
  expected: { readonly code: string; readonly revision: bigint | undefined },
  { caller, reply }: Asker,
): Promise<{ readonly eventsText?: string }> {
  if (expected.code !== 'revision_mismatch' || expected.revision === undefined || !mayReadEvents(caller)) return {}
  await turnToAnswer(reply)
  if (!context.answers.hasRoom(ownerOf(reply.request), sinceBytesMax)) return {}
  return { eventsText: await eventsSince(context, stream, expected.revision) }
}

/** What a stream got after a revision, as a JSON array: the first of it, when it is a lot. */
async function eventsSince(context: ApiContext, stream: string, revision: bigint): Promise<string> {
  const asked = { fromRevision: revision + 1n, maxCount: sinceEventsMax, bytesMax: sinceBytesMax }
  try {
    const events = await reading.run(() => context.log.readStream(stream, asked))
    return `[${events.map((event) => eventText(event, context.tokens)).join(',')}]`
  } catch {
    // The refusal stands without it.
    return '[]'
  }
}
