import type { ReportStatus } from './commands.ts'
import type { Refusal } from './decision.ts'
import type { OmittedDocument } from './events.ts'
import { allowedStatuses } from './judge.ts'
import type { Mark } from './lateness.ts'
import { markedServicesMax, type OperationLimits } from './limits.ts'
import type { CompiledTrack } from './pipeline.ts'
import { type OperationState, trackOf } from './state.ts'

export const noOperation: Refusal = {
  code: 'not_found',
  detail: 'There is no such operation, and the report names no pipeline to open it with.',
}

export const noPipeline: Refusal = {
  code: 'not_found',
  detail: 'There is no such pipeline, or not that version of it.',
}

/** Says no more of an operation than where it is: its sender may not know how it stands. */
export function outsidePipelines(pipeline: string): Pick<Refusal, 'detail'> & { readonly code: 'forbidden' } {
  const named = JSON.stringify(pipeline)
  return { code: 'forbidden', detail: `This key is bound to other pipelines than ${named}: use a key that may.` }
}

export const notYetThere: Refusal = { code: 'revision_mismatch', detail: 'The operation does not exist yet.' }

export function documentTooLarge(document: OmittedDocument, limits: OperationLimits): Refusal {
  const bytesMax = document === 'data' ? limits.dataBytesMax : limits.metadataBytesMax
  return { code: 'too_large', detail: `The operation's ${document} would grow beyond ${bytesMax} bytes of JSON.` }
}

export function tooManyMarks(mark: Mark): Refusal {
  const [what, member] =
    mark.by === 'sequence' ? ['sequences', 'a sequence'] : ['observed times', 'a sequence or an observed time']
  return {
    code: 'too_large',
    detail: `The track remembers the ${what} of ${markedServicesMax} services already: send this report without ${member}.`,
  }
}

export const finalElsewhere: Refusal = {
  code: 'invalid',
  detail: 'Only a report in pipeline "any" may say whether it is final.',
}

export function operationExists(state: OperationState): Refusal {
  return { code: 'operation_exists', detail: 'There is an operation of this id already.', revision: state.revision }
}

export function atAnotherRevision(state: OperationState): Refusal {
  return {
    code: 'revision_mismatch',
    detail: `The operation is at revision ${state.revision}.`,
    revision: state.revision,
  }
}

export function inAnotherPipeline(state: OperationState): Refusal {
  const { name, version } = state.pipeline
  return {
    code: 'pipeline_mismatch',
    detail: `The operation is in version ${version} of pipeline ${JSON.stringify(name)}.`,
    revision: state.revision,
  }
}

/** `track` is undefined when it is the track that is not known. */
export function unknownStatus(state: OperationState, body: ReportStatus, track: CompiledTrack | undefined): Refusal {
  if (track !== undefined) {
    const detail = `Track ${JSON.stringify(track.name)} has no status ${JSON.stringify(body.status)}.`
    return { code: 'unknown_status', detail, ...standing(state, track) }
  }
  const tracks = [...state.pipeline.tracks.keys()].map((name) => JSON.stringify(name)).join(', ')
  const named =
    body.track === undefined ? 'The report names no track' : `There is no track ${JSON.stringify(body.track)}`
  return { code: 'unknown_status', detail: `${named}; the pipeline has ${tracks}.`, revision: state.revision }
}

type NotNowCode = 'transition_not_allowed' | 'requirement_unmet' | 'unreachable'

export function notNow(state: OperationState, track: CompiledTrack, status: string, code: NotNowCode): Refusal {
  const why = whyNot(state, track, status, code)
  return { code, detail: `Track ${JSON.stringify(track.name)} ${why}.`, ...standing(state, track) }
}

function whyNot(state: OperationState, track: CompiledTrack, status: string, code: NotNowCode): string {
  const { phase, status: current } = trackOf(state, track.name)
  const to = JSON.stringify(status)
  if (phase === 'skipped') return 'is skipped: what it waited for can no longer happen'
  if (code === 'unreachable') return `can no longer enter ${to}: what that requires can no longer happen`
  if (phase === 'waiting') return 'has not started'
  if (code === 'requirement_unmet') return `may not enter ${to} before other tracks are as far as that requires`
  return `cannot go from ${JSON.stringify(current)} to ${to}`
}

export function heldFull(state: OperationState, track: CompiledTrack): Refusal {
  return {
    code: 'held_full',
    detail: 'The report would have to wait for others, and no more reports of this operation can be held.',
    ...standing(state, track),
  }
}

function standing(
  state: OperationState,
  track: CompiledTrack,
): Pick<Refusal, 'track' | 'currentStatus' | 'allowedStatuses' | 'revision'> {
  return {
    track: track.name,
    currentStatus: trackOf(state, track.name).status,
    allowedStatuses: allowedStatuses(state, track),
    revision: state.revision,
  }
}
