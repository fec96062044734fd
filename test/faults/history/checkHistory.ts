import type { Call, WriteCall } from './call.ts'
import { checkOperations } from './checkOperations.ts'
import { checkOrder } from './checkOrder.ts'
import { checkReadModel, checkRebuild } from './checkReadModel.ts'
import { checkReads } from './checkReads.ts'
import { checkWrites, type RecordsIgnored, saysAppended } from './checkWrites.ts'
import { type CommandIndex, indexCommands } from './commandIndex.ts'
import { type Fault, Faults, type FaultType } from './faults.ts'
import { type Figures, figuresOf } from './figures.ts'
import { indexLog, type LogIndex } from './logIndex.ts'
import { foldPipelines, type LoggedPipelines, pipelineOf } from './pipelines.ts'
import type { ReadModelRows } from './readModelRows.ts'
import type { RecordedLog } from './recordedLog.ts'
import { Timeline } from './timeline.ts'

export interface HistoryEvidence {
  /** Of all clients; the log must hold nothing else. */
  readonly calls: readonly Call[]
  readonly log: RecordedLog
  /** Once it has caught up with the log; undefined: not looked at. */
  readonly readModel?: ReadModelRows
  /** The same after a rebuild. */
  readonly rebuilt?: ReadModelRows
}

export interface Verdict {
  /** The first of each type, with their evidence. */
  readonly faults: readonly Fault[]
  /** All that were found. */
  readonly counts: Readonly<Partial<Record<FaultType, number>>>
  readonly total: number
  readonly figures: Figures
}

/** Holds what clients were told against the log, and the log against itself. */
export function checkHistory({ calls, log: recorded, readModel, rebuilt }: HistoryEvidence): Verdict {
  const faults = new Faults()
  const log = indexLog(recorded, faults)
  const commands = indexCommands(calls)
  const timeline = new Timeline(calls, commands)
  const pipelines = foldPipelines(log, faults)
  const recordsIgnored = ignoredOnRecord(log, pipelines)
  checkWrites({ commands, log, recordsIgnored, faults })
  checkOrder(calls, commands, log, timeline, faults)
  const operations = checkOperations(calls, log, { commands, pipelines, timeline, faults }, recordsIgnored)
  checkReads(calls, log, timeline, appendsNothing(recordsIgnored), faults)
  if (readModel !== undefined) checkReadModel(readModel, log, operations, pipelines, faults)
  if (readModel !== undefined && rebuilt !== undefined) checkRebuild(readModel, rebuilt, faults)
  return verdict(faults, calls, commands, log)
}

function verdict(faults: Faults, calls: readonly Call[], commands: CommandIndex, log: LogIndex): Verdict {
  return {
    faults: faults.kept,
    counts: Object.fromEntries(faults.counts),
    total: faults.total,
    figures: figuresOf(calls, commands, log),
  }
}

/** By the definition its operation was opened with: one that says so spares what came with neither key nor mark. */
function ignoredOnRecord(log: LogIndex, pipelines: LoggedPipelines): RecordsIgnored {
  return ({ stream, keyGenerated, body }) => {
    if (keyGenerated !== true) return true
    const opening = log.streams.get(stream)?.appends[0]?.events[0]?.decoded
    if (opening?.type !== 'OperationOpened') return true
    const { name, version } = opening.data.pipeline
    try {
      const { definition, ordersByTime } = pipelineOf(pipelines, name, version)
      if (definition.recordIgnored || body?.type !== 'ReportStatus') return true
      return body.sequence !== undefined || (ordersByTime && body.observedAt !== undefined)
    } catch {
      return true
    }
  }
}

function appendsNothing(recordsIgnored: RecordsIgnored): (call: WriteCall) => boolean {
  return (call) =>
    (call.answer.kind === 'refused' && call.answer.code !== 'key_reused') ||
    (call.answer.kind === 'accepted' && !saysAppended(call.answer, recordsIgnored(call)))
}
