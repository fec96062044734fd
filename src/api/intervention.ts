import type { IncomingHttpHeaders } from 'node:http'
import type { ProjectionEvent } from '../operation/events.ts'
import { projectionStream } from '../operation/streamName.ts'
import { type ParkedStream, tamperedReason } from '../projections/readModel.ts'
import type { ApiContext } from './context.ts'
import { failureProblem, ProblemError, refusalProblem } from './problem.ts'
import { parkedBody } from './projectionText.ts'
import { notYetVisible, visible, waitMs } from './visibility.ts'

/** A skip or a retry of a parked stream. */
export interface Asked {
  readonly event: ProjectionEvent
  readonly key: string
  readonly actor: string
  readonly traceparent?: string
}

/**
 * Records it in the log, and waits until the projection has done it. Throws ProblemError: `not_parked` when the stream is
 * not parked there, once all that was recorded before is done; `tampered` when its hash chain is broken.
 */
export async function intervene(
  context: ApiContext,
  asked: Asked,
  headers: IncomingHttpHeaders,
): Promise<{ readonly done: boolean; readonly body: object }> {
  const { commands, control, readModel, tokens } = context
  const { event, key } = asked
  const { stream } = event.data
  const timeoutMs = waitMs(context, headers)
  const result = await commands.intervene({
    ...asked,
    projection: control.name,
    check: (position) => requireParked(context, event, position, timeoutMs, headers),
  })
  if (result.kind === 'refused') throw new ProblemError(refusalProblem(result.refusal, undefined, key))
  if (result.kind === 'failed') throw new ProblemError(failureProblem(result.failure, undefined, key, 'projection'))
  const { position } = result
  const receipt = {
    projection: control.name,
    stream,
    command: key,
    revision: Number(result.revision),
    position: tokens.encode(position),
  }
  if (!(await isDone(context, position, timeoutMs, headers))) {
    return { done: false, body: { ...receipt, outcome: 'pending', parked: null } }
  }
  const { value } = await readModel.parkedStream(stream)
  const parked = value === null ? null : await parkedBody(context, value)
  return { done: true, body: { ...receipt, outcome: parked === null ? 'unparked' : 'parked', parked } }
}

/** Nobody waits for a projection that is paused. */
async function isDone(
  context: ApiContext,
  position: bigint,
  timeoutMs: number,
  headers: IncomingHttpHeaders,
): Promise<boolean> {
  if (context.readModel.position() >= position) return true
  const { paused } = await context.control.state()
  return visible(context, position, paused === null ? timeoutMs : 0, headers)
}

async function requireParked(
  context: ApiContext,
  event: ProjectionEvent,
  after: bigint,
  timeoutMs: number,
  headers: IncomingHttpHeaders,
): Promise<void> {
  if (!(await isDone(context, after, timeoutMs, headers))) {
    const { paused } = await context.control.state()
    if (paused === null) throw notYetVisible(context)
    const detail = 'The projection is paused, and an earlier skip or retry is not done yet: resume it first.'
    throw new ProblemError({ code: 'projection_paused', detail })
  }
  const { readModel, control } = context
  const own = await readModel.parkedStream(projectionStream(control.name))
  if (own.value?.reason === tamperedReason) throw tampered(own.value, ownStreamDetail)
  const { value } = await readModel.parkedStream(event.data.stream)
  if (value?.reason === tamperedReason) throw tampered(value, streamDetail)
  if (value === null) throw notParked('The stream is not parked.', null)
  if (event.type === 'StreamRetried' || value.revision === BigInt(event.data.revision)) return
  throw notParked(`The stream is parked at revision ${value.revision}, and only that event can be skipped.`, value)
}

const streamDetail =
  'neither a retry nor a skip takes that away. Put the events back as they were appended, then rebuild the projection.'
const ownStreamDetail =
  'it is where retries and skips are recorded, and from there on none of them is done. Put its events back as they were ' +
  'appended, then rebuild the projection.'

function tampered({ stream, revision }: ParkedStream, detail: string): ProblemError {
  return new ProblemError({
    code: 'tampered',
    detail: `The hash chain of ${stream} is broken at event ${revision}: ${detail}`,
    revision,
  })
}

function notParked(detail: string, parked: ParkedStream | null): ProblemError {
  return new ProblemError({
    code: 'not_parked',
    detail,
    ...(parked === null ? {} : { revision: parked.revision }),
  })
}
