import type { OperationState } from '../operation/state.ts'
import type { OperationWrite, StandingWrite } from './batch.ts'
import { anyTrack } from './countedStatuses.ts'
import { facetsOf } from './facets.ts'
import { stateColumn } from './operationState.ts'
import type { Shape } from './shape.ts'
import type { FoldedOperation } from './stateCache.ts'
import { timesOf } from './times.ts'

/** What a batch comes to for one operation. */
export interface FoldedChange {
  readonly stream: string
  /** As its row has it; null when it has no row yet. */
  readonly before: Pick<FoldedOperation, 'state' | 'shape'> | null
  readonly state: OperationState
  readonly shape: Shape
  /** Of its last event. */
  readonly position: bigint
}

export function operationWrite(change: FoldedChange): OperationWrite {
  const { stream, before, state, position, shape } = change
  const sameMetadata = before !== null && before.state.metadata === state.metadata
  const sameFacets = sameMetadata && before.state.theme === state.theme && hasSameOther(before, change)
  const sameData = before !== null && before.state.data === state.data
  return {
    kind: 'operation',
    stream,
    id: state.id,
    shape,
    shapeBefore: before?.shape ?? null,
    ...timesOf(state),
    standings: changedStandings(change),
    revision: state.revision,
    position,
    state: stateColumn(state),
    data: sameData ? null : state.data.text,
    metadata: sameMetadata ? null : state.metadata.text,
    facets: sameFacets ? null : facetsOf(state, shape),
  }
}

/** Whether the status is no facet, or the same one. */
function hasSameOther(before: Pick<FoldedOperation, 'state' | 'shape'>, { state, shape }: FoldedChange): boolean {
  if (!before.shape.isOther && !shape.isOther) return true
  return (
    before.shape.isOther === shape.isOther && before.state.tracks[anyTrack]?.status === state.tracks[anyTrack]?.status
  )
}

const noStandings: readonly StandingWrite[] = []

/** An operation with one track has none. */
function changedStandings({ before, state, shape }: FoldedChange): readonly StandingWrite[] {
  if (shape.standings.size === 0 && (before === null || before.shape.standings.size === 0)) return noStandings
  const changed: StandingWrite[] = []
  for (const [track, standing] of shape.standings) {
    const since = state.tracks[track]?.since ?? state.updatedAt
    if (before?.shape.standings.get(track) === standing && before.state.tracks[track]?.since === since) continue
    changed.push({ track, standing, sinceAtMs: Date.parse(since) })
  }
  for (const track of before?.shape.standings.keys() ?? []) {
    if (!shape.standings.has(track)) changed.push({ track, standing: null, sinceAtMs: 0 })
  }
  return changed
}
