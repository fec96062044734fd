import type { OperationState } from '../../../src/operation/state.ts'
import { operationBody } from '../../../src/operation/view.ts'
import { type Call, isWrite, type ListCall, type ReadCall, type SeenOperation, type WriteCall } from './call.ts'
import { type RecordsIgnored, saysAppended } from './checkWrites.ts'
import type { Faults } from './faults.ts'
import type { LoggedStream, LogIndex } from './logIndex.ts'
import { digestOfText } from './operationDigest.ts'
import { differenceOfNothing, type ReplayParts, replay } from './replay.ts'

/** Answers that name a revision of an operation, to be held against the state the log gives there. */
interface Shown {
  readonly revision: bigint
  readonly seen: SeenOperation | null
  readonly call: ReadCall | ListCall | WriteCall
}

export interface FoldedOperation {
  readonly state: OperationState
  /** Of its last event. */
  readonly position: bigint
}

/**
 * Replays every operation, and on the way looks at what was shown of it: reads must be the fold of the log at the revision
 * they name, refusals must be what the rules say there. Gives the operations that could be folded, by id.
 */
export function checkOperations(
  calls: readonly Call[],
  log: LogIndex,
  parts: ReplayParts,
  recordsIgnored: RecordsIgnored,
): ReadonlyMap<string, FoldedOperation> {
  const shown = collectShown(calls, recordsIgnored)
  const folded = new Map<string, FoldedOperation>()
  for (const stream of log.streams.values()) {
    if (!stream.name.startsWith('operation-')) continue
    const found = checkOperation(stream, shown.get(stream.name) ?? [], parts)
    if (found !== null) folded.set(found.state.id, found)
  }
  for (const [stream, looks] of shown) {
    if (!log.streams.has(stream))
      for (const look of looks) report(look, stream, 'there is no such stream', parts.faults)
  }
  return folded
}

function collectShown(calls: readonly Call[], recordsIgnored: RecordsIgnored): Map<string, Shown[]> {
  const shown = new Map<string, Shown[]>()
  const add = (stream: string, look: Shown): void => {
    const looks = shown.get(stream)
    if (looks === undefined) shown.set(stream, [look])
    else looks.push(look)
  }
  for (const call of calls) {
    const { answer } = call
    if (isWrite(call)) {
      if (!call.stream.startsWith('operation-')) continue
      if (answer.kind === 'accepted' && saysAppended(answer, recordsIgnored(call))) continue
      // Of a reused key, `checkWrites` knows all there is to say.
      if (answer.kind === 'refused' && answer.code === 'key_reused') continue
      if ((answer.kind === 'accepted' || answer.kind === 'refused') && answer.revision !== undefined) {
        add(call.stream, { revision: BigInt(answer.revision), seen: null, call })
      }
    } else if (call.kind === 'read' && answer.kind === 'found') {
      add(`operation-${call.operation}`, { revision: BigInt(answer.revision), seen: answer, call })
    } else if (call.kind === 'list' && answer.kind === 'listed') {
      for (const seen of answer.operations) {
        add(`operation-${seen.operation}`, { revision: BigInt(seen.revision), seen, call })
      }
    }
  }
  return shown
}

function checkOperation(stream: LoggedStream, looks: readonly Shown[], parts: ReplayParts): FoldedOperation | null {
  const byRevision = new Map<bigint, Shown[]>()
  for (const look of looks) {
    const same = byRevision.get(look.revision)
    if (same === undefined) byRevision.set(look.revision, [look])
    else same.push(look)
  }
  let last = 0n
  const state = replay(stream, parts, (at, position, whole) => {
    last = position
    const here = byRevision.get(at.revision)
    if (here === undefined) return
    byRevision.delete(at.revision)
    let digest: string | null = null
    for (const look of here) {
      digest ??= digestOfText(operationBody(at))
      const difference =
        look.seen === null
          ? differenceOfAnswer(look.call, at, position, whole)
          : differenceOfSeen(look.seen, look.call, digest, position, whole)
      if (difference !== null) report(look, stream.name, difference, parts.faults)
    }
  })
  const reason = state === null ? 'that cannot be folded' : 'that the stream does not have'
  for (const left of byRevision.values()) {
    for (const look of left) report(look, stream.name, `it names revision ${look.revision}, ${reason}`, parts.faults)
  }
  return state === null ? null : { state, position: last }
}

function differenceOfAnswer(call: Call, state: OperationState, position: bigint, whole: boolean): string | null {
  if (!isWrite(call)) return null
  if (!whole) return `it names revision ${state.revision}, in the middle of an append`
  if (call.answer.kind === 'accepted' && BigInt(call.answer.position) !== position) {
    return `it names position ${call.answer.position} for revision ${state.revision}, which is at ${position}`
  }
  return differenceOfNothing(call, state)
}

function differenceOfSeen(
  seen: SeenOperation,
  call: Call,
  digest: string,
  position: bigint,
  whole: boolean,
): string | null {
  if (BigInt(seen.position) !== position) return `revision ${seen.revision} is at ${position}, not ${seen.position}`
  if (seen.digest !== digest) return `at revision ${seen.revision} the log folds to something else`
  if (!whole && call.kind === 'read' && call.consistency.kind === 'strong') {
    return `revision ${seen.revision} is in the middle of an append`
  }
  return null
}

function report({ call, seen }: Shown, stream: string, detail: string, faults: Faults): void {
  const evidence = call.kind === 'list' ? { ...call, answer: { ...call.answer, operations: [seen] } } : call
  faults.add(isWrite(call) ? 'wrong_refusal' : 'wrong_read', stream, detail, { calls: [evidence as Call] })
}
