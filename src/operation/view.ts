import type { JsonObject } from './json.ts'
import type { HeldReport, OperationState } from './state.ts'

/**
 * The answer of `GET /v1/operations/{id}` as JSON text, without `position`, which is not the state's to know. It has no
 * spaces and ends in `}`, so that a position can be put in its last place.
 */
export function operationBody(state: OperationState): string {
  const { pipeline, held } = state
  const tracks: Record<string, unknown> = {}
  for (const name of Object.keys(state.tracks)) {
    const track = state.tracks[name]
    if (track === undefined) continue
    const { phase, status, since, by } = track
    const waiting = held.length === 0 ? held : held.filter((report) => report.facts.track === name)
    tracks[name] = { phase, status, since, by, held: waiting.length === 0 ? waiting : waiting.map(heldView) }
  }
  const before = JSON.stringify({
    id: state.id,
    pipeline: { name: pipeline.name, version: pipeline.version },
    theme: state.theme,
    state: state.state,
    tracks,
  })
  const after = JSON.stringify({
    // JSON has no bigint; a stream never comes near 2^53 events.
    revision: Number(state.revision),
    openedAt: state.openedAt,
    updatedAt: state.updatedAt,
  })
  return `${before.slice(0, -1)},"data":${state.data.text},"metadata":${state.metadata.text},${after.slice(1)}`
}

/** A held report as the API shows it. */
export interface HeldReportView {
  /** Its idempotency key. */
  readonly command: string
  readonly service: string
  readonly status: string
  readonly reason: string
  readonly sequence?: number
  readonly observedAt?: string
  readonly data?: JsonObject
  readonly metadata?: JsonObject
  readonly heldAt: string
}

function heldView(held: HeldReport): HeldReportView {
  const { track: _, service, ...said } = held.facts
  return { command: held.key, service, status: held.status, reason: held.reason, ...said, heldAt: held.heldAt }
}
