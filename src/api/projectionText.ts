import { eventAt } from '../eventlog/readStream.ts'
import { roughEventCount } from '../eventlog/roughEventCount.ts'
import type { ProjectionState, RebuildRecord } from '../projections/control/control.ts'
import type { ParkedStream } from '../projections/readModel.ts'
import type { ApiContext } from './context.ts'

/** How a projection stands, as JSON text. Throws as the read model and the log do. */
export async function projectionText(context: ApiContext, known?: ProjectionState): Promise<string> {
  const { control, log, projector, tokens } = context
  // The position first: a head that was asked for before might lie below it.
  const state = known ?? (await control.state())
  const { head, ...unread } = await context.knownHead.read(state.position)
  const { rebuild, paused } = state
  const rebuilding = rebuild !== null && rebuild.endedAt === null
  return JSON.stringify({
    name: control.name,
    state: paused !== null ? 'paused' : rebuilding ? 'rebuilding' : 'running',
    position: tokens.encode(state.position),
    head: tokens.encode(head),
    ...unread,
    lagEvents: roughEventCount(log, head - state.position),
    lagMs: projector.lagMs(),
    parked: state.parked,
    tampered: state.tampered,
    epoch: Number(state.epoch),
    foldVersion: state.foldVersion,
    owner: state.owner,
    paused,
    rebuild: rebuild === null ? null : rebuildBody(context, rebuild),
    phase: projector.status().phase,
  })
}

export function rebuildBody({ tokens }: ApiContext, rebuild: RebuildRecord): object {
  const { position, head, ...rest } = rebuild
  return {
    ...rest,
    position: tokens.encode(position),
    head: tokens.encode(head),
    done: Number(position),
    total: Number(head > position ? head : position),
  }
}

const recordedAtPattern = /"recordedAt":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/

/** With the time at which its event was recorded, from the log: whatever else is wrong with that event. */
export async function parkedBody({ log, tokens }: ApiContext, parked: ParkedStream): Promise<object> {
  const { stream, revision, position, reason, detail } = parked
  const event = await eventAt(log, stream, revision)
  const [, since = null] = recordedAtPattern.exec(event?.metadata ?? '') ?? []
  return { stream, revision: Number(revision), position: tokens.encode(position), reason, detail, since }
}
