import { type Call, isWrite } from './call.ts'
import type { CommandIndex } from './commandIndex.ts'
import type { LogIndex } from './logIndex.ts'

/** How much was looked at. */
export interface Figures {
  readonly calls: number
  readonly commands: number
  readonly events: number
  readonly streams: number
  /** Calls by what they were answered. */
  readonly accepted: number
  readonly refused: number
  readonly notTaken: number
  readonly unknown: number
  /** Commands of which no answer ever said what became of them, and how many of those are in the log. */
  readonly open: number
  readonly openLanded: number
  /** Reads and lists that were answered, by what they promised. */
  readonly plainReads: number
  readonly minReads: number
  readonly strongReads: number
  readonly feedEvents: number
}

export function figuresOf(calls: readonly Call[], commands: CommandIndex, log: LogIndex): Figures {
  const figures = {
    calls: calls.length,
    commands: 0,
    events: log.events.length,
    streams: log.streams.size,
    accepted: 0,
    refused: 0,
    notTaken: 0,
    unknown: 0,
    open: 0,
    openLanded: 0,
    plainReads: 0,
    minReads: 0,
    strongReads: 0,
    feedEvents: 0,
  }
  for (const call of calls) {
    if (isWrite(call)) {
      if (call.answer.kind !== 'unexpected') figures[call.answer.kind] += 1
    } else if (call.kind === 'feed') {
      if (call.answer.kind === 'events') figures.feedEvents += call.answer.events.length
    } else if (call.answer.kind !== 'notTaken' && call.answer.kind !== 'unexpected') {
      figures[`${call.consistency.kind}Reads`] += 1
    }
  }
  for (const keys of commands.values()) {
    for (const { stream, key, calls: own } of keys.values()) {
      figures.commands += 1
      if (own.some(({ answer }) => answer.kind === 'accepted' || answer.kind === 'refused')) continue
      figures.open += 1
      if (log.streams.get(stream)?.byKey.has(key) === true) figures.openLanded += 1
    }
  }
  return figures
}
