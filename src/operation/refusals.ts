import type { ReportStatus } from './commands.ts'
import type { Refusal } from './decision.ts'
import { allowedStatuses } from './judge.ts'
import { sequencedServicesMax } from './limits.ts'
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

export const notYetThere: Refusal = { code: 'revision_mismatch', detail: 'The operation does not exist yet.' }

export const documentTooLarge: Refusal = {
  code: 'too_large',
  detail: "The operation's data or metadata would grow beyond their limit.",
}

export const tooManySequences: Refusal = {
  code: 'too_large',
  detail: `The track remembers the sequences of ${sequencedServicesMax} services already: send this report without one.`,
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
  return {
    code: 'pipeline_mismatch',
    detail: `The operation is in pipeline ${JSON.stringify(state.pipeline.name)}.`,
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

export function notNow(
  state: OperationState,
  track: CompiledTrack,
  status: string,
  code: 'transition_not_allowed' | 'requirement_unmet',
): Refusal {
  const { phase, status: current } = trackOf(state, track.name)
  const [name, to] = [JSON.stringify(track.name), JSON.stringify(status)]
  const why =
    phase === 'waiting'
      ? 'has not started'
      : phase === 'skipped'
        ? 'is skipped'
        : code === 'requirement_unmet'
          ? `may not enter ${to} before other tracks are as far as that requires`
          : `cannot go from ${JSON.stringify(current)} to ${to}`
  return { code, detail: `Track ${name} ${why}.`, ...standing(state, track) }
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
