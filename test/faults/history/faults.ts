import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import type { Call } from './call.ts'

/** What can be found wrong, and what it means. */
export const faultTypes = {
  lost_write: 'A command that was answered as accepted is not in the log.',
  doubled_write: 'One key was applied more than once.',
  receipt_mismatch: 'An answer gives another receipt than the log does.',
  request_mismatch: 'The log holds another request under the key than the one that was accepted.',
  refused_in_log: 'A command that was refused is in the log.',
  not_taken_in_log: 'A command of which every answer said that nothing was written is in the log.',
  unexplained_event: 'The log holds an event under a key that nobody sent.',
  wrong_refusal: 'A command was refused, or appended nothing, where the rules say otherwise.',
  stale_decision: 'A command was refused, or appended nothing, on a state that was no longer the current one.',
  stale_definition: 'An operation was opened with an older version of its pipeline than the one in force.',
  unexpected_answer: 'An answer that the contract does not know.',
  revision_gap: "A stream's revisions do not follow on one another.",
  position_order: 'Positions do not grow, or have a gap, or do not end at the head.',
  real_time_order: 'What began after another write was answered comes before it in the log.',
  late_event: 'An event turned up at or before a position up to which a reader had seen the log.',
  changed_event: 'A reader of the log saw another event than the log now holds.',
  broken_chain: "A stream's hash chain does not hold.",
  malformed_event: 'An event cannot be read.',
  wrong_transition: 'An append is not what the rules make of its command on the state before it.',
  wrong_read: 'A read shows what the log never held.',
  stale_read: 'A read lacks what it promised to hold.',
  read_from_future: 'A read shows a write that had not been sent yet.',
  read_model_row: 'A row of the read model is not the fold of the log.',
  read_model_checkpoint: "The read model's checkpoint is not the log's head.",
  read_model_parked: 'The read model has set a stream aside.',
  rebuild_differs: 'The read model built anew from the log has other rows.',
  not_back_in_time: 'Writes were not accepted again within the time allowed after a fault.',
} as const

export type FaultType = keyof typeof faultTypes

export interface Fault {
  readonly type: FaultType
  /** `operation-{id}` or `pipeline-{name}`; null where the fault is not one stream's. */
  readonly stream: string | null
  readonly detail: string
  readonly calls: readonly Call[]
  readonly events: readonly RecordedEvent[]
}

const keptPerType = 20
const evidenceMax = 4

/** Collects faults: all are counted, the first of each type are kept with their evidence. */
export class Faults {
  readonly counts = new Map<FaultType, number>()
  readonly #kept: Fault[] = []

  add(
    type: FaultType,
    stream: string | null,
    detail: string,
    evidence: { readonly calls?: readonly Call[]; readonly events?: readonly RecordedEvent[] } = {},
  ): void {
    const count = (this.counts.get(type) ?? 0) + 1
    this.counts.set(type, count)
    if (count > keptPerType) return
    const { calls = [], events = [] } = evidence
    this.#kept.push({ type, stream, detail, calls: calls.slice(0, evidenceMax), events: events.slice(0, evidenceMax) })
  }

  get kept(): readonly Fault[] {
    return this.#kept
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }
}

const textMax = 300

/** For a person: what, where, and the calls and events that show it. */
export function faultText({ type, stream, detail, calls, events }: Fault): string {
  const lines = [`${type}${stream === null ? '' : ` ${stream}`}: ${detail}`]
  for (const call of calls) lines.push(`  call  ${cut(JSON.stringify(call))}`)
  for (const { stream: of, revision, position, type: name, data, metadata } of events) {
    lines.push(`  event ${of}@${revision} at ${position} ${name} ${cut(data)} ${cut(metadata)}`)
  }
  return lines.join('\n')
}

function cut(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}...`
}
