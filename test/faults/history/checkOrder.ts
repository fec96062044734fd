import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import type { Call, FeedCall } from './call.ts'
import type { CommandIndex } from './commandIndex.ts'
import type { Faults } from './faults.ts'
import type { Append, LogIndex } from './logIndex.ts'
import type { Timeline } from './timeline.ts'

/**
 * Positions are given out in commit order: a command that was first sent after another's answer comes after it, and what
 * a reader of the log was shown up to a position is all there ever is up to it.
 */
export function checkOrder(
  calls: readonly Call[],
  commands: CommandIndex,
  log: LogIndex,
  timeline: Timeline,
  faults: Faults,
): void {
  checkRealTime(commands, log, timeline, faults)
  const hashes = new Map(log.events.map((event) => [event.position, event]))
  for (const call of calls) {
    if (call.kind === 'feed') checkFeed(call, log, hashes, faults)
  }
}

function checkRealTime(commands: CommandIndex, log: LogIndex, timeline: Timeline, faults: Faults): void {
  const appends = [...log.streams.values()].flatMap((stream) => stream.appends)
  appends.sort((one, other) => (positionOf(one) < positionOf(other) ? 1 : -1))
  // From the log's end: the earliest answer to anything that comes later in the log.
  let answered: { readonly us: number; readonly append: Append } | null = null
  for (const append of appends) {
    const sentUs = timeline.firstSentUs(append)
    if (answered !== null && Number.isFinite(sentUs) && answered.us < sentUs) {
      const later = answered.append
      const detail = `key ${append.key} was first sent after key ${later.key} of ${later.stream} was answered, and comes before it`
      faults.add('real_time_order', append.stream, detail, {
        calls: [...callsOf(commands, append).slice(0, 2), ...callsOf(commands, later).slice(0, 2)],
        events: [...append.events.slice(0, 1), ...later.events.slice(0, 1)],
      })
    }
    for (const { answer, endUs } of callsOf(commands, append)) {
      // An answer that names another position is found by checkWrites.ts, and says nothing of when this was appended.
      if (answer.kind !== 'accepted' || BigInt(answer.position) !== positionOf(append)) continue
      if (answered === null || endUs < answered.us) answered = { us: endUs, append }
    }
  }
}

function positionOf({ events }: Append): bigint {
  return events.at(-1)?.position ?? 0n
}

function callsOf(commands: CommandIndex, { stream, key, requestHash }: Append) {
  const calls = commands.get(stream)?.get(key)?.calls ?? []
  return calls.filter((call) => call.requestHash === requestHash)
}

function checkFeed(call: FeedCall, log: LogIndex, events: ReadonlyMap<bigint, RecordedEvent>, faults: Faults): void {
  const { answer } = call
  if (answer.kind === 'notTaken') return
  if (answer.kind === 'unexpected') {
    faults.add('unexpected_answer', null, `${answer.status} ${answer.text}`, { calls: [call] })
    return
  }
  const evidence = { ...call, answer: { ...answer, events: answer.events.slice(0, 3) } }
  let before = BigInt(call.after)
  const seen = new Set<bigint>()
  for (const { position: text, hash } of answer.events) {
    const position = BigInt(text)
    const event = events.get(position)
    if (position <= before) {
      faults.add('position_order', null, `a reader got ${position} after ${before}`, { calls: [evidence] })
    }
    if (event === undefined) {
      faults.add('changed_event', null, `a reader saw an event at ${position}; there is none`, { calls: [evidence] })
    } else if (!event.metadata.endsWith(`"hash":"${hash}"}`)) {
      faults.add('changed_event', event.stream, `a reader saw another event at ${position}`, {
        calls: [evidence],
        events: [event],
      })
    }
    before = position
    seen.add(position)
  }
  for (const event of between(log.events, BigInt(call.after), BigInt(answer.next))) {
    if (seen.has(event.position)) continue
    const detail = `a reader knew the log up to ${answer.next} and had not been shown ${event.position}`
    faults.add('late_event', event.stream, detail, { calls: [evidence], events: [event] })
  }
}

/** The events after one position up to another. */
function between(events: readonly RecordedEvent[], after: bigint, upTo: bigint): readonly RecordedEvent[] {
  const from = firstAfter(events, after)
  return events.slice(from, firstAfter(events, upTo))
}

function firstAfter(events: readonly RecordedEvent[], position: bigint): number {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((events[middle]?.position ?? 0n) <= position) low = middle + 1
    else high = middle
  }
  return low
}
