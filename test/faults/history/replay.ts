import type { Command, CommandBody } from '../../../src/operation/commands.ts'
import { decide } from '../../../src/operation/decide.ts'
import type { Decision } from '../../../src/operation/decision.ts'
import { isOperationEvent } from '../../../src/operation/eventSchemas.ts'
import { evolve } from '../../../src/operation/evolve.ts'
import { defaultLimits } from '../../../src/operation/limits.ts'
import type { CompiledPipeline } from '../../../src/operation/pipeline.ts'
import type { OperationState } from '../../../src/operation/state.ts'
import type { WriteCall } from './call.ts'
import type { CommandIndex } from './commandIndex.ts'
import type { Faults } from './faults.ts'
import type { Append, LoggedStream } from './logIndex.ts'
import { type LoggedPipelines, pipelineOf } from './pipelines.ts'
import type { Timeline } from './timeline.ts'

/** Told of the state after each event; `whole` says that the append is complete with it. */
export type AtEvent = (state: OperationState, position: bigint, whole: boolean) => void

export interface ReplayParts {
  readonly commands: CommandIndex
  readonly pipelines: LoggedPipelines
  readonly timeline: Timeline
  readonly faults: Faults
}

/**
 * Decides an operation's history anew, command by command, by the domain's own rules: each append must be what they make
 * of its command on the state before. Gives the last state, or null when the stream could not be folded to its end.
 */
export function replay(stream: LoggedStream, parts: ReplayParts, at: AtEvent): OperationState | null {
  const { faults } = parts
  let state: OperationState | null = null
  for (const append of stream.appends) {
    try {
      const opensWith = openingPipeline(append, parts)
      const decision = decideAnew(append, state, opensWith, parts)
      const difference = decision === null ? null : differenceOf(decision, append)
      if (difference !== null) {
        const calls = parts.commands.get(stream.name)?.get(append.key)?.calls ?? []
        faults.add('wrong_transition', stream.name, difference, { calls, events: append.events })
      }
      state = foldAppend(state, append, opensWith, at)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      faults.add('wrong_transition', stream.name, `cannot be folded: ${reason}`, { events: append.events })
      return null
    }
  }
  const folded = stream.appends.reduce((count, append) => count + append.events.length, 0)
  return folded === stream.events.length ? state : null
}

function foldAppend(
  before: OperationState | null,
  append: Append,
  opensWith: CompiledPipeline | null,
  at: AtEvent,
): OperationState {
  let state = before
  for (const [index, { decoded, position }] of append.events.entries()) {
    if (!isOperationEvent(decoded)) throw new Error(`${decoded.type} in an operation`)
    if (state !== null && decoded.meta.recordedAt < state.updatedAt) throw new Error('recordedAt goes back')
    const pipeline = state?.pipeline ?? opensWith
    state = evolve(state, decoded, decoded.meta, () => pipeline ?? none())
    at(state, position, index === append.events.length - 1)
  }
  return state ?? none()
}

function none(): never {
  throw new Error('there is no pipeline')
}

/** The pipeline an append opens its operation with: defined before it, and no older than what was in force. */
function openingPipeline(
  append: Append,
  { pipelines, timeline, commands, faults }: ReplayParts,
): CompiledPipeline | null {
  const [first] = append.events
  if (first?.decoded.type !== 'OperationOpened') return null
  const { name, version } = first.decoded.data.pipeline
  const pipeline = pipelineOf(pipelines, name, version)
  const definition = pipelines.get(name)?.[version - 1]
  if (definition === undefined) return pipeline
  const calls = commands.get(append.stream)?.get(append.key)?.calls ?? []
  const pinned = calls.some(({ body }) => body !== null && 'pipelineVersion' in body)
  const sentUs = timeline.firstSentUs(append)
  const inForce = Number.isFinite(sentUs) ? timeline.revisionKnownBefore(`pipeline-${name}`, sentUs) + 1n : 0n
  if (definition.position > first.position || (!pinned && BigInt(version) < inForce)) {
    const detail = `opened with version ${version} of ${name}, when version ${inForce} was in force`
    faults.add('stale_definition', append.stream, detail, { calls, events: [first] })
  }
  return pipeline
}

function decideAnew(
  append: Append,
  state: OperationState | null,
  pipeline: CompiledPipeline | null,
  { commands }: ReplayParts,
): Decision | null {
  const calls = commands.get(append.stream)?.get(append.key)?.calls ?? []
  const call = calls.find(({ requestHash, body }) => requestHash === append.requestHash && body !== null)
  const command = commandOf(append, state, call)
  const now = append.events[0]?.decoded.meta.recordedAt ?? ''
  return decide(command, { state, pipeline, now, limits: defaultLimits })
}

function commandOf(append: Append, state: OperationState | null, call: WriteCall | undefined): Command {
  const body = call === undefined || call.body?.type === 'DefinePipeline' ? null : call.body
  return {
    operation: append.stream.slice('operation-'.length),
    key: append.key,
    requestHash: append.requestHash,
    actor: append.events[0]?.decoded.meta.actor ?? '',
    ...(call?.keyGenerated === undefined ? {} : { keyGenerated: call.keyGenerated }),
    ...(call?.expectedRevision === undefined ? {} : { expectedRevision: BigInt(call.expectedRevision) }),
    body: body ?? bodyOf(append, state),
  }
}

/** What must have been asked for, by what became of it: for commands whose bodies nobody kept. */
function bodyOf({ key, events }: Append, state: OperationState | null): CommandBody {
  const own = events.map(({ decoded }) => decoded).filter(({ metadata }) => metadata.command === key)
  const opening = own[0]?.type === 'OperationOpened' ? own[0].data : null
  const report = own[opening === null ? 0 : 1]
  if (report === undefined && opening !== null) {
    const { pipeline, ...rest } = opening
    return { type: 'OpenOperation', pipeline: pipeline.name, ...rest }
  }
  const opens = opening === null ? {} : { pipeline: opening.pipeline.name }
  switch (report?.type) {
    case 'StatusChanged': {
      const { from: _, to, ...facts } = report.data
      return { type: 'ReportStatus', status: to, ...facts, ...opens }
    }
    case 'OperationDescribed':
      return { type: 'OpenOperation', pipeline: state?.pipeline.name ?? '', ...report.data }
    case 'DataMerged':
      return { type: 'ReportStatus', ...report.data, ...opens }
    case 'ReportHeld':
    case 'ReportIgnored': {
      const { reason: _, ...facts } = report.data
      return { type: 'ReportStatus', ...facts, ...opens }
    }
    default:
      throw new Error(`an append under ${key} that reports nothing`)
  }
}

/** Null: the append is what was decided. */
function differenceOf(decision: Decision, { events }: Append): string | null {
  if (decision.kind === 'refused') return `by the rules it is refused: ${decision.refusal.code}`
  if (decision.events.length !== events.length) {
    return `by the rules it makes ${decision.events.length} events, and there are ${events.length}`
  }
  for (const [index, decided] of decision.events.entries()) {
    const logged = events[index]
    if (logged === undefined) continue
    const { command, actor } = logged.decoded.metadata
    if (decided.event.type !== logged.type || decided.dataText !== logged.data) {
      return `by the rules revision ${logged.revision} is ${decided.event.type} ${decided.dataText}`
    }
    if (decided.key !== command || decided.actor !== actor) {
      return `by the rules revision ${logged.revision} is recorded under ${decided.key} of ${decided.actor}`
    }
  }
  return null
}

/** Whether a call that appended nothing was answered as the rules say, on the state it names; null: it was. */
export function differenceOfNothing(call: WriteCall, state: OperationState): string | null {
  const { answer, body, key, keyGenerated, requestHash, expectedRevision } = call
  if (body === null || body.type === 'DefinePipeline') return null
  if (answer.kind !== 'accepted' && answer.kind !== 'refused') return null
  const command: Command = {
    operation: state.id,
    key,
    requestHash,
    actor: '',
    ...(keyGenerated === undefined ? {} : { keyGenerated }),
    ...(expectedRevision === undefined ? {} : { expectedRevision: BigInt(expectedRevision) }),
    body,
  }
  const decision = decide(command, { state, pipeline: null, now: state.updatedAt, limits: defaultLimits })
  const said = answer.kind === 'refused' ? answer.code : `${answer.outcome} ${answer.reason}`
  const decided =
    decision.kind === 'refused'
      ? decision.refusal.code
      : decision.events.length === 0
        ? `${decision.outcome} ${decision.reason}`
        : `${decision.outcome}, with ${decision.events.length} events`
  return said === decided ? null : `answered ${said} at revision ${state.revision}; by the rules it is ${decided}`
}
