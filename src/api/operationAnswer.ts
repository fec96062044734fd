import type { IncomingHttpHeaders } from 'node:http'
import { type LoadedOperation, UnreadableStreamError } from '../commands/commandService.ts'
import { operationStream } from '../operation/streamName.ts'
import { TamperedError } from '../operation/verifyStream.ts'
import { operationBody } from '../operation/view.ts'
import {
  type OperationRow,
  type ReadModel,
  ReadModelUnavailableError,
  tamperedReason,
} from '../projections/readModel.ts'
import type { ReadContext } from './context.ts'
import { noOperation } from './notFound.ts'
import { notYetVisible, positionOf, visible, waitMs } from './visibility.ts'

/** An operation as it is answered. */
export interface OperationAnswer {
  readonly text: string
  readonly revision: bigint
  /** Of its last event that was more than an ignored report that filled nothing. */
  readonly changedRevision: bigint
  /** Up to where it is folded: nothing of the operation at or before is missing. */
  readonly position: bigint
  /** It says so: at the same revision it said something else before. */
  readonly isParked?: boolean
}

export interface OperationQuestion {
  readonly minPosition?: string
  readonly consistency?: 'strong'
}

/**
 * The fresher of this node's memory and the read model, which is not asked where this node projects and knows what it
 * would say; memory alone, up to the position it says, while the read model does not answer. The log is asked when neither
 * knows the operation, so that what was accepted is never 404, when the row is parked, and for `consistency=strong`. Throws
 * ProblemError.
 */
export async function findOperation(
  context: ReadContext,
  id: string,
  { minPosition, consistency }: OperationQuestion,
  headers: IncomingHttpHeaders,
): Promise<OperationAnswer> {
  const min = minPosition === undefined ? 0n : positionOf(context, minPosition, 'minPosition')
  if (consistency === 'strong') {
    const parked = tamperedPlace(context, id)
    // Nobody may come for it, when the log does not answer.
    parked.catch(() => undefined)
    return fromLog(context, id, min, parked)
  }
  const known = fromMemory(context, id, min)
  if (known !== null) return known
  for (let waited = false; ; waited = true) {
    const read = await rowUnlessSilent(context, id)
    const cached = context.commands.cached(id)
    if (read instanceof ReadModelUnavailableError) {
      if (cached === null || cached.position < min) throw read
      return fromState(context, cached, cached.position, null)
    }
    const { value: row, parked, position: checkpoint } = read
    if (cached !== null && (row === null || (row.parked === null && cached.state.revision >= row.revision))) {
      // Nothing of this operation lies between its last event in memory and the checkpoint the row was read at. Where there
      // is no row, it may be parked from its first event on: then the checkpoint says nothing of it.
      const position = row === null ? cached.position : later(cached.position, checkpoint)
      if (position >= min) return fromState(context, cached, position, parked)
    }
    if (row === null || row.parked !== null) return fromLog(context, id, min, parked)
    if (checkpoint >= min) return fromRow(context, row, checkpoint)
    if (waited || !(await visible(context, min, waitMs(context, headers), headers))) throw notYetVisible(context)
  }
}

/** Null when the row has to be looked at, or memory does not go as far as is asked. */
function fromMemory(context: ReadContext, id: string, min: bigint): OperationAnswer | null {
  const cached = context.commands.cached(id)
  const folded = cached === null ? null : context.projector.folded(id)
  if (cached === null || folded === null || folded.value > cached.state.revision) return null
  const position = later(cached.position, folded.position)
  return position < min ? null : fromState(context, cached, position, null)
}

/** With something to show in memory, nobody waits longer than this for a read model that does not answer. */
const silenceMsMax = 1_000

/** The error in place of the row where memory has something to show instead. */
async function rowUnlessSilent(
  { readModel, commands }: ReadContext,
  id: string,
): Promise<Awaited<ReturnType<ReadModel['operation']>> | ReadModelUnavailableError> {
  const read = readModel.operation(id)
  return commands.cached(id) === null ? read : unlessSilent(read)
}

async function unlessSilent<T>(read: Promise<T>): Promise<T | ReadModelUnavailableError> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<ReadModelUnavailableError>((resolve) => {
    timer = setTimeout(() => resolve(new ReadModelUnavailableError('The read model is silent')), silenceMsMax)
  })
  const answer = read.catch((error: unknown) => {
    if (error instanceof ReadModelUnavailableError) return error
    throw error
  })
  try {
    return await Promise.race([answer, silence])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Where the read model found that the operation was tampered with; null also where it does not answer. A fold that goes on
 * from what memory holds does not come by there again.
 */
async function tamperedPlace({ readModel }: ReadContext, id: string): Promise<OperationRow['parked']> {
  const read = await unlessSilent(readModel.parkedStream(operationStream(id)))
  if (read instanceof ReadModelUnavailableError) return null
  return read.value?.reason === tamperedReason ? read.value : null
}

/** `parked`: what the read model says of it. */
async function fromLog(
  context: ReadContext,
  id: string,
  min: bigint,
  parked: OperationRow['parked'] | Promise<OperationRow['parked']>,
): Promise<OperationAnswer> {
  const head = await context.log.head()
  let loaded: LoadedOperation | null
  try {
    loaded = await context.commands.load(id)
  } catch (error) {
    if (!(error instanceof UnreadableStreamError)) throw error
    return fromUnreadable(context, id, min, error)
  }
  const position = later(loaded?.position ?? 0n, head)
  if (position < min) throw notYetVisible(context)
  if (loaded === null) throw noOperation(id)
  return fromState(context, loaded, position, await parked)
}

/**
 * What cannot be folded is shown as far as the read model has it, and says that it is parked; also when only this read has
 * found out that the log is not what was appended.
 */
async function fromUnreadable(
  context: ReadContext,
  id: string,
  min: bigint,
  error: UnreadableStreamError,
): Promise<OperationAnswer> {
  const { value: row } = await context.readModel.operation(id)
  if (row === null) throw error
  if (row.position < min) throw notYetVisible(context)
  if (!(error.cause instanceof TamperedError)) return fromRow(context, row, row.position)
  const { stream, revision } = error.cause
  // Of another stream when its pipeline's definition was tampered with: nothing here would say so.
  if (stream !== operationStream(id)) throw error
  return fromRow(context, { ...row, parked: row.parked ?? { revision, reason: tamperedReason } }, row.position)
}

function fromState(
  context: ReadContext,
  { state, position }: LoadedOperation,
  foldedTo: bigint,
  parked: OperationRow['parked'],
): OperationAnswer {
  const text = operationText(context, operationBody(state), position, parked)
  const { revision, changedRevision } = state
  return { text, revision, changedRevision, position: foldedTo, isParked: parked !== null }
}

function fromRow(context: ReadContext, row: OperationRow, foldedTo: bigint): OperationAnswer {
  const { revision, changedRevision, parked } = row
  return { text: rowText(context, row), revision, changedRevision, position: foldedTo, isParked: parked !== null }
}

export function rowText(context: Pick<ReadContext, 'tokens'>, row: OperationRow): string {
  return operationText(context, row.body, row.position, row.parked)
}

/** Puts what the state does not know in the body's last place. */
function operationText(
  { tokens }: Pick<ReadContext, 'tokens'>,
  body: string,
  position: bigint,
  parked: OperationRow['parked'],
): string {
  const note =
    parked === null ? '' : `,"parked":{"revision":${parked.revision},"reason":${JSON.stringify(parked.reason)}}`
  return `${body.slice(0, -1)},"position":"${tokens.encode(position)}"${note}}`
}

const later = (one: bigint, other: bigint) => (one > other ? one : other)
