import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { type Call, isWrite } from './call.ts'
import { checkHistory } from './checkHistory.ts'
import type { RecordedLog } from './recordedLog.ts'
import { type CleanHistory, recordCleanHistory } from './support/cleanHistory.ts'

describe('a clean history', () => {
  let history: CleanHistory

  beforeAll(async () => {
    history = await recordCleanHistory({ seed: 4, callsMin: 600 })
  })
  afterAll(() => history?.database.drop({ allowOpen: true }))

  it('is no longer one, whatever is changed, lost, doubled or moved in it', () => {
    const { calls, log } = history
    expect(typesFound(calls, log)).toEqual([])
    const index = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(mutations)), index, (name, place) => {
        const mutated = mutations[name]?.(calls, log, place)
        fc.pre(mutated !== null && mutated !== undefined)
        expect(typesFound(mutated.calls ?? calls, mutated.log ?? log), name).not.toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})

function typesFound(calls: readonly Call[], log: RecordedLog): readonly string[] {
  return Object.keys(checkHistory({ calls, log }).counts)
}

function next(text: string, by = 1n): string {
  return String(BigInt(text) + by)
}

interface Mutated {
  readonly calls?: readonly Call[]
  readonly log?: RecordedLog
}

/** Each takes something at a random place; null when there is nothing there that it could change. */
const mutations: Readonly<Record<string, (calls: readonly Call[], log: RecordedLog, place: number) => Mutated | null>> =
  {
    'an event is lost': (_, log, place) => ({
      log: { ...log, events: log.events.filter((_event, index) => index !== at(log.events, place)) },
    }),
    'the end of the log is lost': (_, log, place) => {
      const events = log.events.slice(0, at(log.events, place))
      return { log: { ...log, events, head: events.at(-1)?.position ?? 0n } }
    },
    'an event is doubled': (_, log, place) => ({
      log: { ...log, events: inserted(log.events, place), head: log.head + 1n },
    }),
    'two events change places': (_, log, place) => {
      const index = at(log.events, place)
      const [one, other] = [log.events[index], log.events[index + 1]]
      if (one === undefined || other === undefined || one.stream !== other.stream) return null
      const events = [...log.events]
      events[index] = { ...other, position: one.position }
      events[index + 1] = { ...one, position: other.position }
      return { log: { ...log, events } }
    },
    'a byte of data is changed': (_, log, place) =>
      changed(log, place, (event) => ({ ...event, data: `${event.data.slice(0, -1)} }` })),
    'a byte of metadata is changed': (_, log, place) =>
      changed(log, place, (event) => ({ ...event, metadata: event.metadata.replace('"actor":"', '"actor":"x') })),
    'a revision is changed': (_, log, place) =>
      changed(log, place, (event) => ({ ...event, revision: event.revision + 1n })),
    'a type is changed': (_, log, place) =>
      changed(log, place, (event) => ({
        ...event,
        type: event.type === 'DataMerged' ? 'ReportIgnored' : 'DataMerged',
      })),
    'an id is changed': (_, log, place) =>
      changed(log, place, (event) => ({
        ...event,
        id: event.id.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
      })),
    'a receipt is changed': (calls, _, place) =>
      answered(calls, place, 'accepted', (answer) => ({ ...answer, revision: next(String(answer.revision)) })),
    'an acceptance becomes a refusal': (calls, log, place) => {
      const call = calls[at(calls, place)]
      if (call === undefined || !isWrite(call) || call.kind === 'define' || call.answer.kind !== 'accepted') return null
      if (
        !log.events.some(
          ({ stream, metadata }) => stream === call.stream && metadata.includes(`"command":"${call.key}"`),
        )
      )
        return null
      const refused = { kind: 'refused', code: 'transition_not_allowed' } as const
      const same = (other: Call) => isWrite(other) && other.stream === call.stream && other.key === call.key
      return { calls: calls.map((other) => (same(other) ? ({ ...other, answer: refused } as Call) : other)) }
    },
    'a refusal becomes an acceptance': (calls, _, place) =>
      answered(calls, place, 'refused', () => ({
        kind: 'accepted',
        outcome: 'applied',
        created: false,
        revision: '0',
        position: '1',
      })),
    'a call is forgotten': (calls, log, place) => {
      const call = calls[at(calls, place)]
      if (call === undefined || !isWrite(call)) return null
      const same = (other: Call) => isWrite(other) && other.stream === call.stream && other.key === call.key
      if (
        !log.events.some(
          ({ stream, metadata }) => stream === call.stream && metadata.includes(`"command":"${call.key}"`),
        )
      )
        return null
      return { calls: calls.filter((other) => !same(other)) }
    },
    'a read shows an older revision': (calls, log, place) => {
      const index = at(calls, place)
      const call = calls[index]
      if (call?.kind !== 'read' || call.answer.kind !== 'found' || call.answer.revision === '0') return null
      const { operation, answer } = call
      const before = log.events.find(
        ({ stream, revision }) => stream === `operation-${operation}` && revision === BigInt(answer.revision) - 1n,
      )
      const stale = { ...answer, revision: next(answer.revision, -1n), position: String(before?.position) }
      return { calls: calls.with(index, { ...call, answer: stale }) }
    },
  }

function at(list: readonly unknown[], place: number): number {
  return Math.floor(place * list.length)
}

function changed(log: RecordedLog, place: number, change: (event: RecordedEvent) => RecordedEvent): Mutated {
  const index = at(log.events, place)
  return { log: { ...log, events: log.events.map((event, other) => (other === index ? change(event) : event)) } }
}

/** The event again, as the next of its stream and of the log. */
function inserted(events: readonly RecordedEvent[], place: number): readonly RecordedEvent[] {
  const event = events[at(events, place)]
  const last = events.at(-1)
  if (event === undefined || last === undefined) return events
  const revision = events.reduce((count, { stream }) => (stream === event.stream ? count + 1n : count), 0n)
  return [...events, { ...event, revision, position: last.position + 1n }]
}

function answered(
  calls: readonly Call[],
  place: number,
  kind: 'accepted' | 'refused',
  change: (answer: Readonly<Record<string, unknown>>) => object,
): Mutated | null {
  const index = at(calls, place)
  const call = calls[index]
  if (call === undefined || !isWrite(call) || call.answer.kind !== kind) return null
  return { calls: calls.with(index, { ...call, answer: change({ ...call.answer }) } as Call) }
}
