import { canonicalJson } from '../../../src/operation/canonicalJson.ts'
import { operationStream } from '../../../src/operation/streamName.ts'
import { CountedStatuses, statusSetBy } from '../../../src/projections/countedStatuses.ts'
import { facetsOf } from '../../../src/projections/facets.ts'
import { stateColumn } from '../../../src/projections/operationState.ts'
import { shapeFlags, standingRows } from '../../../src/projections/rowDifferences.ts'
import { Shapes } from '../../../src/projections/shape.ts'
import { timesOf } from '../../../src/projections/times.ts'
import type { FoldedOperation } from './checkOperations.ts'
import type { Faults } from './faults.ts'
import type { LogIndex } from './logIndex.ts'
import type { LoggedPipelines } from './pipelines.ts'
import type { ReadModelRows, Row } from './readModelRows.ts'

/** The read model is a function of the log: each row is the fold of its stream, and every count the rows, counted. */
export function checkReadModel(
  rows: ReadModelRows,
  log: LogIndex,
  operations: ReadonlyMap<string, FoldedOperation>,
  pipelines: LoggedPipelines,
  faults: Faults,
): void {
  if (rows.checkpoint !== String(log.head)) {
    faults.add('read_model_checkpoint', null, `the rows go up to ${rows.checkpoint}, the log to ${log.head}`)
  }
  for (const row of rows.parked) faults.add('read_model_parked', row.stream ?? null, JSON.stringify(row))
  const counted = countedStatuses(log, operations)
  const shapes = new Shapes((status) => counted.has(status))
  const counts = new Map<string, Row & { operations: string }>()
  const expected = new Map<string, Row>()
  for (const { state, position } of operations.values()) {
    const shape = shapes.of(state)
    const { updatedAtMs, openedAtMs, sinceAtMs, heardAtMs } = timesOf(state)
    expected.set(state.id, {
      shape: String(shape.id),
      updated_at: String(updatedAtMs),
      opened_at: String(openedAtMs),
      since_at: String(sinceAtMs),
      heard_at: heardAtMs === null ? null : String(heardAtMs),
      standings: JSON.stringify(standingRows(state, shape)),
      revision: String(state.revision),
      position: String(position),
      facets: facetsText(facetsOf(state, shape)),
      state: stateColumn(state),
      data: state.data.text,
      metadata: state.metadata.text,
    })
    const count = counts.get(String(shape.id))
    if (count !== undefined) count.operations = String(Number(count.operations) + 1)
    else
      counts.set(String(shape.id), {
        pipeline: shape.pipeline,
        state: shape.state,
        tracks: shape.tracks,
        flags: JSON.stringify(shapeFlags(shape)),
        operations: '1',
      })
  }
  compare('operations', rows.operations.map(keyed(['id'])), expected, faults)
  compare('shapes', rows.shapes.map(keyed(['id'])), counts, faults)
  const defined = new Map(
    [...pipelines].flatMap(([name, versions]) =>
      versions.map(({ compiled, definition, definedAt }): [string, Row] => [
        `${name} ${compiled.version}`,
        { definition: JSON.stringify(definition), defined_at: definedAt },
      ]),
    ),
  )
  compare('pipelines', rows.pipelines.map(keyed(['name', 'version'])), defined, faults)
}

/** The statuses of pipeline `any` that are counted by name: the first ones that events set, in the order of the log. */
function countedStatuses(log: LogIndex, operations: ReadonlyMap<string, FoldedOperation>): CountedStatuses {
  const ofAny = new Set<string>()
  for (const { state } of operations.values()) if (state.pipeline.any) ofAny.add(operationStream(state.id))
  const counted = new CountedStatuses()
  for (const { stream, type, data } of log.events) {
    const status = type === 'StatusChanged' && ofAny.has(stream) ? statusSetBy(data) : null
    if (status !== null) counted.see(status)
  }
  return counted
}

/** The same rows as before a rebuild from the log. */
export function checkRebuild(before: ReadModelRows, rebuilt: ReadModelRows, faults: Faults): void {
  if (before.checkpoint !== rebuilt.checkpoint) {
    faults.add('rebuild_differs', null, `checkpoint ${before.checkpoint} before, ${rebuilt.checkpoint} rebuilt`)
  }
  for (const table of ['operations', 'shapes', 'parked', 'pipelines'] as const) {
    const left = new Set(before[table].map((row) => canonicalJson(row)))
    for (const row of rebuilt[table]) {
      const text = canonicalJson(row)
      if (!left.delete(text)) faults.add('rebuild_differs', null, `${table}, only rebuilt: ${text}`)
    }
    for (const text of left) faults.add('rebuild_differs', null, `${table}, only before: ${text}`)
  }
}

function keyed(names: readonly string[]): (row: Row) => [string, Row] {
  return (row) => {
    const rest = Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)))
    return [names.map((name) => row[name]).join(' '), rest]
  }
}

function compare(
  table: string,
  rows: readonly [string, Row][],
  expected: ReadonlyMap<string, Row>,
  faults: Faults,
): void {
  const stream = (key: string): string | null => (table === 'operations' ? `operation-${key}` : null)
  const left = new Map(expected)
  for (const [key, row] of rows) {
    const wanted = left.get(key)
    left.delete(key)
    if (wanted === undefined) faults.add('read_model_row', stream(key), `${table} has ${key}, which the log has not`)
    else
      for (const difference of differences(row, wanted))
        faults.add('read_model_row', stream(key), `${table} ${key} ${difference}`)
  }
  for (const key of left.keys()) faults.add('read_model_row', stream(key), `${table} lacks ${key}`)
}

/** Texts of JSON are compared by what they say: the database may write them in its own way. */
function* differences(row: Row, wanted: Row): Generator<string> {
  for (const [column, value] of Object.entries(wanted)) {
    const found = row[column] ?? null
    if (found === value || (json.has(column) && said(found) === said(value))) continue
    yield `${column}: ${found} in the read model, ${value} by the log`
  }
}

const json: ReadonlySet<string> = new Set(['state', 'data', 'metadata', 'tracks', 'definition', 'flags', 'standings'])

function said(text: string | null): string | null {
  if (text === null) return null
  try {
    return canonicalJson(JSON.parse(text))
  } catch {
    return text
  }
}

function facetsText(facets: readonly number[]): string | null {
  return facets.length === 0 ? null : `{${facets.join(',')}}`
}
