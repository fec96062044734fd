import type { JsonObject } from '../operation/json.ts'
import { joinedUtf8 } from '../postgres/joinedUtf8.ts'
import { schemaName } from './schemaName.ts'
import type { Shape } from './shape.ts'

/** An operation as its row has it, with the state's three parts as JSON text. */
export interface OperationWrite {
  readonly kind: 'operation'
  readonly stream: string
  readonly id: string
  readonly shape: Shape
  /** The shape its row has; null when it has no row yet. */
  readonly shapeBefore: Shape | null
  /** Milliseconds since 1970. */
  readonly updatedAtMs: number
  readonly openedAtMs: number
  readonly revision: bigint
  readonly position: bigint
  readonly state: string
  /** Null: as the row has it. */
  readonly data: string | null
  readonly metadata: string | null
  /** Of theme and metadata; null when the row's are still right. */
  readonly facets: readonly number[] | null
}

export interface PipelineWrite {
  readonly kind: 'pipeline'
  readonly stream: string
  readonly name: string
  readonly version: number
  readonly definition: JsonObject
  readonly definedAt: string
}

export interface ParkWrite {
  readonly kind: 'park'
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly reason: string
  readonly detail: string
}

/** A stream that an operator's skip or retry, at `position`, was about. */
export interface Revisit {
  readonly stream: string
  /** Null for a stream of another kind. */
  readonly operation: string | null
  readonly position: bigint
  /** False: it is parked still, or again (the batch then parks it anew where it could be folded further). */
  readonly unparked: boolean
}

/** What a batch of events comes to: each operation once, however many events it got. */
export type Write = OperationWrite | PipelineWrite | ParkWrite

export interface Batch {
  readonly writes: readonly Write[]
  /** The checkpoint before and after. */
  readonly from: bigint
  readonly to: bigint
  readonly events: number
  /** Most batches have none. */
  readonly revisits: readonly Revisit[]
}

/** The call of `commit_batch` (migrations/0001_read_model.sql says what each text holds). */
export const commitBatchStatement = {
  name: 'commit_batch',
  text: `SELECT ${schemaName}.commit_batch($1::text, $2::bigint, $3::bigint, $4::bigint, ${Array.from({ length: 19 }, (_, index) => `$${index + 5}::text`).join(', ')}, $24::json, $25::json, $26::json)`,
} as const

/** The same for a batch with interventions (migrations/0003_control.sql). */
export const commitRevisitsStatement = {
  name: 'commit_revisiting_batch',
  text: commitBatchStatement.text.replace('commit_batch(', 'commit_revisiting_batch($27::json, '),
} as const

export function revisitsValue({ revisits }: Batch): string {
  return JSON.stringify(
    revisits.map(({ stream, operation, position, unparked }) => ({
      stream,
      operation,
      position: String(position),
      unparked,
    })),
  )
}

/** Lines of columns: half the node's time of arrays. JSON texts and ids hold no line break. */
export function commitBatchValues(projection: string, epoch: bigint, batch: Batch): unknown[] {
  const opened: OperationWrite[] = []
  const changed: OperationWrite[] = []
  const parked: ParkWrite[] = []
  const defined: PipelineWrite[] = []
  const counts = new Map<bigint, { readonly shape: Shape; operations: number }>()
  for (const write of batch.writes) {
    if (write.kind === 'park') parked.push(write)
    else if (write.kind === 'pipeline') defined.push(write)
    else {
      if (write.shapeBefore === null) opened.push(write)
      else changed.push(write)
      if (write.shapeBefore?.id !== write.shape.id) {
        count(counts, write.shape, 1)
        if (write.shapeBefore !== null) count(counts, write.shapeBefore, -1)
      }
    }
  }
  return [
    projection,
    epoch,
    batch.from,
    batch.to,
    lines(opened, (write) => write.id),
    lines(opened, (write) => write.shape.id),
    lines(opened, (write) => write.updatedAtMs),
    lines(opened, (write) => write.openedAtMs),
    lines(opened, (write) => write.revision),
    lines(opened, (write) => write.position),
    lines(opened, facetsText),
    documentLines(opened, (write) => write.state),
    documentLines(opened, (write) => write.data ?? '{}'),
    documentLines(opened, (write) => write.metadata ?? '{}'),
    lines(changed, (write) => write.id),
    lines(changed, (write) => write.shape.id),
    lines(changed, (write) => write.updatedAtMs),
    lines(changed, (write) => write.revision),
    lines(changed, (write) => write.position),
    lines(changed, facetsText),
    documentLines(changed, (write) => write.state),
    documentLines(changed, (write) => write.data ?? ''),
    documentLines(changed, (write) => write.metadata ?? ''),
    countsText(counts),
    parked.length === 0 ? null : JSON.stringify(parked.map(parkRow)),
    defined.length === 0 ? null : JSON.stringify(defined.map(pipelineRow)),
  ]
}

function lines(writes: readonly OperationWrite[], column: (write: OperationWrite) => string | number | bigint): string {
  let text = ''
  for (let index = 0; index < writes.length; index += 1) {
    const write = writes[index]
    if (write === undefined) continue
    text += index === 0 ? column(write) : `\n${column(write)}`
  }
  return text
}

function documentLines(writes: readonly OperationWrite[], column: (write: OperationWrite) => string): Buffer {
  return joinedUtf8(writes.map(column), '\n')
}

function facetsText(write: OperationWrite): string {
  if (write.facets === null) return '-'
  return write.facets.length === 0 ? '' : `{${write.facets.join(',')}}`
}

function count(
  counts: Map<bigint, { readonly shape: Shape; operations: number }>,
  shape: Shape,
  operations: number,
): void {
  const entry = counts.get(shape.id)
  if (entry === undefined) counts.set(shape.id, { shape, operations })
  else entry.operations += operations
}

function countsText(counts: ReadonlyMap<bigint, { readonly shape: Shape; readonly operations: number }>): string {
  const rows: string[] = []
  for (const { shape, operations } of counts.values()) {
    if (operations === 0) continue
    const pipeline = JSON.stringify(shape.pipeline)
    const state = JSON.stringify(shape.state)
    rows.push(
      `{"id":${shape.id},"pipeline":${pipeline},"state":${state},"tracks":${shape.tracks},"operations":${operations}}`,
    )
  }
  return `[${rows.join(',')}]`
}

function parkRow(write: ParkWrite): object {
  const { stream, reason, detail } = write
  return { stream, revision: String(write.revision), position: String(write.position), reason, detail }
}

function pipelineRow(write: PipelineWrite): object {
  return { name: write.name, version: write.version, definition: write.definition, defined_at: write.definedAt }
}
