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
  /** What the columns `since_at` and `heard_at` hold (times.ts). */
  readonly sinceAtMs: number
  readonly heardAtMs: number | null
  /** Of the tracks beside the default one: what is another than in the rows. */
  readonly standings: readonly StandingWrite[]
  readonly revision: bigint
  readonly position: bigint
  readonly state: string
  /** Null: as the row has it. */
  readonly data: string | null
  readonly metadata: string | null
  /** Of theme and metadata; null when the row's are still right. */
  readonly facets: readonly number[] | null
}

/** A row of `standings`; `standing` null: there is none any more. */
export interface StandingWrite {
  readonly track: string
  readonly standing: bigint | null
  readonly sinceAtMs: number
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

/** A status of pipeline `any` that is counted by name from here on: its shape gets a row, though no operation may end the batch in it. */
export interface ShapeWrite {
  readonly kind: 'shape'
  readonly stream: string
  readonly shape: Shape
}

/** A stream that an operator's skip or retry, at `position`, was about. */
export interface StreamRefold {
  readonly stream: string
  /** Null for a stream of another kind. */
  readonly operation: string | null
  readonly position: bigint
  /** False: it is parked still, or again (the batch then parks it anew where it could be folded further). */
  readonly unparked: boolean
}

/** What a batch of events comes to: each operation once, however many events it got. */
export type Write = OperationWrite | PipelineWrite | ParkWrite | ShapeWrite

export interface Batch {
  readonly writes: readonly Write[]
  /** The checkpoint before and after. */
  readonly from: bigint
  readonly to: bigint
  readonly events: number
  /** Most batches have none. */
  readonly refolds: readonly StreamRefold[]
}

/** The call of `commit_batch_v2` (migrations/0005_standings.sql says what each text holds). */
export const commitBatchStatement = {
  name: 'commit_batch_v2',
  text: `SELECT ${schemaName}.commit_batch_v2($1::text, $2::bigint, $3::bigint, $4::bigint, ${parameters(5, 31, 'text')}, ${parameters(32, 36, 'json')})`,
} as const

function parameters(from: number, to: number, type: string): string {
  return Array.from({ length: to - from + 1 }, (_, index) => `$${from + index}::${type}`).join(', ')
}

/** Lines of columns: half the node's time of arrays. JSON texts and ids hold no line break. */
export function commitBatchValues(projection: string, epoch: bigint, batch: Batch): unknown[] {
  const { opened, changed, parked, defined, counts, standings } = sorted(batch.writes)
  const gone = standings.filter(({ standing }) => standing === null)
  const standing = gone.length === 0 ? standings : standings.filter((write) => write.standing !== null)
  return [
    projection,
    epoch,
    batch.from,
    batch.to,
    lines(opened, (write) => write.id),
    lines(opened, (write) => write.shape.id),
    lines(opened, (write) => write.updatedAtMs),
    lines(opened, (write) => write.openedAtMs),
    lines(opened, sinceText),
    lines(opened, heardText),
    lines(opened, (write) => write.revision),
    lines(opened, (write) => write.position),
    lines(opened, facetsText),
    documentLines(opened, (write) => write.state),
    documentLines(opened, (write) => write.data ?? '{}'),
    documentLines(opened, (write) => write.metadata ?? '{}'),
    lines(changed, (write) => write.id),
    lines(changed, (write) => write.shape.id),
    lines(changed, (write) => write.updatedAtMs),
    lines(changed, sinceText),
    lines(changed, heardText),
    lines(changed, (write) => write.revision),
    lines(changed, (write) => write.position),
    lines(changed, facetsText),
    documentLines(changed, (write) => write.state),
    documentLines(changed, (write) => write.data ?? ''),
    documentLines(changed, (write) => write.metadata ?? ''),
    lines(standing, (write) => write.id),
    lines(standing, (write) => write.track),
    lines(standing, (write) => write.standing ?? ''),
    lines(standing, (write) => write.sinceAtMs),
    gone.length === 0 ? null : JSON.stringify(gone.map(({ id, track }) => ({ id, track }))),
    countsText(counts),
    parked.length === 0 ? null : JSON.stringify(parked.map(parkRow)),
    defined.length === 0 ? null : JSON.stringify(defined.map(pipelineRow)),
    batch.refolds.length === 0 ? null : JSON.stringify(batch.refolds.map(refoldRow)),
  ]
}

type Counts = Map<bigint, { readonly shape: Shape; operations: number; isNew: boolean }>

interface SortedWrites {
  readonly opened: OperationWrite[]
  readonly changed: OperationWrite[]
  readonly parked: ParkWrite[]
  readonly defined: PipelineWrite[]
  /** By shape: how many operations more have it. */
  readonly counts: Counts
  readonly standings: (StandingWrite & { readonly id: string })[]
}

function sorted(writes: readonly Write[]): SortedWrites {
  const found: SortedWrites = { opened: [], changed: [], parked: [], defined: [], counts: new Map(), standings: [] }
  for (const write of writes) {
    if (write.kind === 'park') found.parked.push(write)
    else if (write.kind === 'pipeline') found.defined.push(write)
    else if (write.kind === 'shape') count(found.counts, write.shape, 0).isNew = true
    else {
      const { id, shape, shapeBefore } = write
      if (shapeBefore === null) found.opened.push(write)
      else found.changed.push(write)
      if (shapeBefore?.id !== shape.id) {
        count(found.counts, shape, 1)
        if (shapeBefore !== null) count(found.counts, shapeBefore, -1)
      }
      for (const standing of write.standings) found.standings.push({ id, ...standing })
    }
  }
  return found
}

function lines<T>(writes: readonly T[], column: (write: T) => string | number | bigint): string {
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

/** Mostly that of the last event: then nothing is printed, and nothing parsed. */
function sinceText({ sinceAtMs, updatedAtMs }: OperationWrite): number | '' {
  return sinceAtMs === updatedAtMs ? '' : sinceAtMs
}

function heardText({ heardAtMs, updatedAtMs }: OperationWrite): number | '' {
  return heardAtMs === updatedAtMs ? '' : (heardAtMs ?? 0)
}

function count(counts: Counts, shape: Shape, operations: number): { isNew: boolean } {
  const entry = counts.get(shape.id) ?? { shape, operations: 0, isNew: false }
  entry.operations += operations
  counts.set(shape.id, entry)
  return entry
}

function countsText(counts: SortedWrites['counts']): string {
  const rows: string[] = []
  for (const { shape, operations, isNew } of counts.values()) {
    if (operations !== 0 || isNew) rows.push(`{${shape.members},"operations":${operations}}`)
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

function refoldRow({ stream, operation, position, unparked }: StreamRefold): object {
  return { stream, operation, position: String(position), unparked }
}
