import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { receiptOutcome } from '../../src/operation/decision.ts'
import { enterable } from '../../src/operation/enterable.ts'
import { decode } from '../../src/operation/envelope.ts'
import { isOperationEvent } from '../../src/operation/eventSchemas.ts'
import type { StatusChanged } from '../../src/operation/events.ts'
import { isJsonObject, type JsonObject } from '../../src/operation/json.ts'
import { judge } from '../../src/operation/judge.ts'
import {
  anyPipeline,
  type CompiledPipeline,
  type CompiledTrack,
  type TrackCondition,
} from '../../src/operation/pipeline.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { isBlocked } from '../../src/operation/view.ts'
import { deliveries, freeze, pipelines, reports } from './support/arbitraries.ts'
import { fold, Ledger, linear, type Report, told } from './support/ledger.ts'

const histories = fc
  .oneof({ weight: 8, arbitrary: pipelines({ branches: true }) }, { weight: 1, arbitrary: fc.constant(anyPipeline) })
  .chain((pipeline) => fc.tuple(fc.constant(pipeline), fc.array(reports(pipeline), { maxLength: 25, size: 'max' })))

/** Limits so small that they are met. */
const limits = { dataBytesMax: 100, metadataBytesMax: 60, heldCountMax: 4, heldBytesMax: 600 }

function frozen(ledger: Ledger): void {
  const { state } = ledger
  if (state === null) return
  for (const part of [state.tracks, state.held, state.data.value, state.metadata.value]) freeze(part)
  Object.freeze(state)
}

/** Sends all, each under a key of its own, and looks after each. */
function run(
  pipeline: CompiledPipeline,
  sent: readonly Report[],
  after: (ledger: Ledger, told: string) => void,
): Ledger {
  const ledger = new Ledger(pipeline, limits, false)
  for (const report of sent) {
    frozen(ledger)
    freeze(report)
    const line = told(ledger.report(report))
    if (ledger.state !== null) after(ledger, line)
  }
  ledger.check()
  return ledger
}

/** Every simple path, by trying them all: what the decider works out from reachability is held against this. */
function paths(track: CompiledTrack, from: string, to: string, before: readonly string[] = []): string[][] {
  return (track.graph.next[track.graph.indexes.get(from) ?? -1] ?? []).flatMap((index) => {
    const target = track.graph.statuses[index] ?? ''
    if (target === to) return [[...before, target]]
    return before.includes(target) ? [] : paths(track, target, to, [...before, target])
  })
}

describe('whatever is reported, in whatever order,', () => {
  test('the fold of all that was decided is the state the decider kept, and the chain holds', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        run(pipeline, sent, (ledger) => ledger.check())
      }),
      { numRuns: 60 },
    )
  })

  test('nothing leaves the definition, and starts and joins hold', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        const ledger = run(pipeline, sent, () => {})
        if (!pipeline.any) walkAlong(pipeline, ledger)
      }),
      { numRuns: 250 },
    )
  })

  test('what is held has to wait, is within the bounds, and is gone when the operation has ended', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        run(pipeline, sent, ({ current }) => {
          for (const held of current.held) {
            const track = pipeline.tracks.get(held.facts.track)
            assert.ok(track !== undefined)
            assert.equal(judge(current, track, held.status).kind, 'wait')
          }
          assert.ok(current.held.length <= limits.heldCountMax)
          assert.ok(current.held.reduce((sum, held) => sum + held.bytes, 0) <= limits.heldBytesMax)
          if (current.state !== 'active' && !pipeline.any) assert.deepEqual(current.held, [])
          assert.ok(Buffer.byteLength(JSON.stringify(current.data)) <= limits.dataBytesMax)
          assert.ok(Buffer.byteLength(JSON.stringify(current.metadata)) <= limits.metadataBytesMax)
          assert.ok(Buffer.byteLength(JSON.stringify(current.data)) <= current.dataBytesMax)
          assert.ok(Buffer.byteLength(JSON.stringify(current.metadata)) <= current.metadataBytesMax)
        })
      }),
      { numRuns: 250 },
    )
  })

  test('what can no longer be entered never is, and what is blocked stays so', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        fc.pre(!pipeline.any)
        const dead = new Set<string>()
        let blocked = false
        run(pipeline, sent, ({ current }) => {
          const canEnter = enterable(pipeline, current.tracks)
          for (const { name, graph } of pipeline.tracks.values()) {
            for (const status of graph.statuses) {
              const place = `${name} ${status}`
              if (!canEnter.has(name, status)) dead.add(place)
              assert.ok(!dead.has(place) || !canEnter.has(name, status))
            }
          }
          assert.ok(!blocked || isBlocked(current))
          blocked = isBlocked(current)
        })
      }),
      { numRuns: 150 },
    )
  })

  test('an ignored report changes no status, overwrites nothing and deletes nothing', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        const { events } = run(pipeline, sent, () => {})
        for (const [index, stored] of events.entries()) {
          const decoded = decode(stored)
          if (decoded.type !== 'ReportIgnored') continue
          const before = fold(events.slice(0, index), pipeline)
          const after = fold(events.slice(0, index + 1), pipeline)
          assert.ok(before !== null && after !== null)
          assert.deepEqual(standings(after), standings(before))
          kept(before.data.value, after.data.value)
          kept(before.metadata.value, after.metadata.value)
          if (pipeline.definition.lateData === 'record') assert.deepEqual(after.data.value, before.data.value)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('each report is on record as often as it should be: taken once, or held and then settled once', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        const ledger = run(pipeline, sent, () => {})
        const byKey = new Map<string, string[]>()
        for (const stored of ledger.events) {
          const { type, metadata } = decode(stored)
          if (type !== 'OperationOpened') byKey.set(metadata.command, [...(byKey.get(metadata.command) ?? []), type])
        }
        const waiting = new Set(ledger.state?.held.map((held) => held.key))
        for (const [key, types] of byKey) {
          if (waiting.has(key)) assert.deepEqual(types, ['ReportHeld'])
          else if (types[0] === 'ReportHeld') assert.equal(types.length, 2)
          else assert.equal(types.length, 1)
          assert.notEqual(types[1], 'ReportHeld')
        }
        assert.equal(new Set(ledger.events.map((event) => event.id)).size, ledger.events.length)
      }),
      { numRuns: 200 },
    )
  })

  test('a receipt read back from the log says what the answer said', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        const ledger = new Ledger(pipeline, limits, false)
        for (const [index, report] of sent.entries()) {
          const before = ledger.events.length
          const decision = ledger.report(report, { key: `key-${index}` })
          const appended = ledger.events.slice(before).map(decode)
          for (const { metadata } of appended) assert.equal(metadata.$causationId, `key-${index}`)
          if (decision.kind === 'refused' || appended.length === 0) continue
          const own = appended.flatMap((event) =>
            event.metadata.command !== `key-${index}` || !isOperationEvent(event) ? [] : [event],
          )
          const { outcome, reason, opened } = decision
          assert.deepEqual(
            receiptOutcome(own),
            reason === undefined ? { outcome, opened } : { outcome, reason, opened },
          )
        }
      }),
      { numRuns: 150 },
    )
  })

  test('a command repeated at once, under another key, moves nothing but by a transition of a status to itself', () => {
    fc.assert(
      fc.property(histories, ([pipeline, sent]) => {
        fc.pre(!pipeline.any)
        const ledger = new Ledger(pipeline, limits, false)
        for (const report of sent) {
          const first = ledger.report(report)
          if (first.kind === 'refused' || ledger.state === null) continue
          const before = ledger.current
          const again = ledger.report(report)
          const moved = again.kind === 'accepted' && again.events.some(({ event }) => event.type === 'StatusChanged')
          if (moved) assert.ok(loops(pipeline, before, report))
          // What was applied and has a sequence is a duplicate, on record, and nothing else.
          const applied = first.outcome === 'applied' && first.events.every(({ key }) => key === first.events[0]?.key)
          if (!applied || report.sequence === undefined || again.kind === 'refused') continue
          assert.deepEqual(
            again.events.map(({ event }) => [event.type, 'reason' in event.data && event.data.reason]),
            [['ReportIgnored', 'duplicate']],
          )
        }
      }),
      { numRuns: 200 },
    )
  })
})

/** Where the tracks stand, apart from when they were last heard of and by which marks. */
function standings({ tracks }: OperationState): unknown {
  return Object.entries(tracks).map(([name, { phase, status, since, by, reached, outcome }]) => ({
    name,
    phase,
    status,
    since,
    by,
    reached,
    outcome,
  }))
}

/** Whether the report's status can be entered again from where its track stands: a transition to itself, or a cycle. */
function loops(pipeline: CompiledPipeline, state: OperationState, report: Report): boolean {
  const track = pipeline.tracks.get(report.track ?? 'main')
  const current = state.tracks[report.track ?? 'main']?.status
  return track !== undefined && typeof current === 'string' && paths(track, current, report.status).length > 0
}

/** Follows the events by rules of its own, made from the definition alone. */
function walkAlong(pipeline: CompiledPipeline, { events }: Ledger): void {
  const { outOfOrder, tracks } = pipeline.definition
  const reached = new Map<string, Set<string>>()
  const current = new Map<string, string>()
  const hasReached = ({ track, in: awaited, orSkipped }: TrackCondition): boolean =>
    awaited.some((status) => reached.get(track)?.has(status)) ||
    (orSkipped === true &&
      !current.has(track) &&
      !growing(pipeline, current, reached)(track, tracks[track]?.initial ?? ''))
  const start = (): void => {
    for (let changed = true; changed; ) {
      changed = false
      for (const [name, track] of Object.entries(tracks)) {
        if (current.has(name) || (track.startsWhen !== undefined && !hasReached(track.startsWhen))) continue
        current.set(name, track.initial ?? '')
        reached.set(name, new Set([track.initial ?? '']))
        changed = true
      }
    }
  }
  const move = (change: StatusChanged): void => {
    const track = pipeline.tracks.get(change.track)
    assert.ok(track !== undefined && change.from !== null)
    assert.equal(current.get(change.track), change.from)
    const ways = paths(track, change.from, change.to)
    assert.ok(ways.length > 0, 'there is a way')
    const direct = ways.some((way) => way.length === 1)
    if (outOfOrder !== 'advance') assert.ok(direct, 'one transition')
    const entered = direct ? [change.to] : (ways[0] ?? []).filter((one) => ways.every((way) => way.includes(one)))
    for (const status of entered) {
      for (const condition of track.requires.get(status) ?? []) assert.ok(hasReached(condition), 'its join is met')
    }
    for (const status of entered) reached.get(change.track)?.add(status)
    current.set(change.track, change.to)
  }
  for (const stored of events) {
    const event = decode(stored)
    if (event.type === 'OperationOpened') start()
    if (event.type === 'DataMerged') assert.equal(current.get(event.data.track), event.data.status)
    if (event.type !== 'StatusChanged') continue
    move(event.data)
    start()
  }
  const state = fold(events, pipeline)
  const canEnter = growing(pipeline, current, reached)
  for (const [name, track] of Object.entries(state?.tracks ?? {})) {
    assert.equal(track.status, current.get(name) ?? null)
    assert.deepEqual(new Set(track.reached), reached.get(name) ?? new Set())
    assert.equal(
      track.phase === 'final',
      current.has(name) && Object.hasOwn(tracks[name]?.final ?? {}, track.status ?? ''),
    )
    assert.equal(track.phase === 'skipped', !current.has(name) && !canEnter(name, tracks[name]?.initial ?? ''))
    for (const status of pipeline.tracks.get(name)?.graph.statuses ?? []) {
      assert.equal(enterable(pipeline, state?.tracks ?? {}).has(name, status), canEnter(name, status))
    }
  }
}

/** What can still be entered, by the words of the rule: one looks at everything again until nothing is added. */
function growing(
  { definition: { tracks } }: CompiledPipeline,
  current: ReadonlyMap<string, string>,
  reached: ReadonlyMap<string, ReadonlySet<string>>,
): (track: string, status: string) => boolean {
  const entered = new Set<string>()
  const place = (track: string, status: string): string => `${track} ${status}`
  const holds = ({ track, in: awaited, orSkipped }: TrackCondition): boolean =>
    awaited.some((status) => reached.get(track)?.has(status) || entered.has(place(track, status))) ||
    (orSkipped === true && !current.has(track))
  for (let before = -1; before !== entered.size; ) {
    before = entered.size
    for (const [name, track] of Object.entries(tracks)) {
      if (!current.has(name) && track.startsWhen !== undefined && holds(track.startsWhen)) {
        entered.add(place(name, track.initial ?? ''))
      }
      for (const [from, targets] of Object.entries(track.transitions)) {
        if (current.get(name) !== from && !entered.has(place(name, from))) continue
        for (const to of targets) if ((track.requires?.[to] ?? []).every(holds)) entered.add(place(name, to))
      }
    }
  }
  return (track, status) => entered.has(place(track, status))
}

function kept(before: JsonObject, after: JsonObject): void {
  for (const [name, value] of Object.entries(before)) {
    assert.ok(Object.hasOwn(after, name))
    const now = Object.getOwnPropertyDescriptor(after, name)?.value
    if (isJsonObject(value) && isJsonObject(now)) kept(value, now)
    else assert.deepEqual(now, value)
  }
}

/** One report for each status of each track that a report can bring about. */
function complete(pipeline: CompiledPipeline): Report[] {
  return [...pipeline.tracks.values()].flatMap((track) =>
    track.graph.statuses
      .filter((status) => status !== track.initial)
      .map((status, index) => ({
        track: track.name,
        status,
        service: track.name,
        sequence: index,
        data: { [status]: index, last: { [track.name]: status } },
      })),
  )
}

function end({ current }: Ledger) {
  const { state, data, held, tracks } = current
  const stood = Object.fromEntries(
    Object.entries(tracks).map(([name, { phase, status, by }]) => [name, { phase, status, by }]),
  )
  return { state, data: data.value, held, tracks: stood }
}

describe('a complete set of reports, delayed, repeated and in any order,', () => {
  const chains = (policy: 'hold' | 'advance') =>
    pipelines({ branches: false, policy }).chain((pipeline) =>
      fc.tuple(fc.constant(pipeline), deliveries(complete(pipeline))),
    )

  test('under hold ends in the same state, data included', () => {
    fc.assert(
      fc.property(chains('hold'), ([pipeline, delivered]) => {
        const ledger = new Ledger(pipeline, {}, false)
        ledger.open()
        for (const report of delivered) assert.doesNotMatch(told(ledger.report(report)), /^refused/)
        const { state, held, tracks } = end(ledger)
        assert.deepEqual(held, [])
        for (const [name, track] of Object.entries(tracks)) {
          const last = Object.keys(pipeline.definition.tracks[name]?.final ?? {})[0]
          assert.deepEqual(track, { phase: 'final', status: last, by: name })
        }
        const outcomes = Object.values(pipeline.definition.tracks).flatMap((track) => Object.values(track.final))
        assert.equal(state, outcomes.includes('failed') ? 'failed' : 'succeeded')
        const inOrder = new Ledger(pipeline, {}, false)
        inOrder.open()
        for (const report of complete(pipeline)) inOrder.report(report)
        assert.deepEqual(end(ledger), end(inOrder))
      }),
      { numRuns: 200 },
    )
  })

  test('under advance ends every track, and loses no data', () => {
    fc.assert(
      fc.property(chains('advance'), ([pipeline, delivered]) => {
        const ledger = new Ledger(pipeline, {}, false)
        ledger.open()
        for (const report of delivered) assert.doesNotMatch(told(ledger.report(report)), /^refused/)
        const { held, tracks, data } = end(ledger)
        assert.deepEqual(held, [])
        for (const track of Object.values(tracks)) assert.equal(track.phase, 'final')
        const { lateData, recordIgnored } = pipeline.definition
        for (const report of complete(pipeline)) {
          // A late report fills in what is absent; what the furthest one said is never overwritten.
          if (lateData === 'fill' && recordIgnored) assert.ok(Object.hasOwn(data, report.status))
          const last = tracks[report.track ?? '']?.status
          if (report.status === last)
            assert.equal(data.last && isJsonObject(data.last) && data.last[report.track ?? ''], last)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('under advance goes along one path, forwards only', () => {
    const pipeline = linear('advance', ['new', 'a', 'b', 'c', 'd', 'done'])
    const order = ['new', 'a', 'b', 'c', 'd', 'done']
    const some = fc.array(fc.constantFrom(...order), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(some, (statuses) => {
        const ledger = new Ledger(pipeline, {}, false)
        ledger.open()
        for (const status of statuses) ledger.report({ status, data: { [status]: true, last: status } })
        const furthest = Math.max(...statuses.map((status) => order.indexOf(status)))
        expect(ledger.current.tracks.main?.status).toBe(order[furthest])
        expect(Object.keys(ledger.current.data.value).sort()).toEqual([...new Set([...statuses, 'last'])].sort())
        expect(ledger.current.data.value.last).toBe(order[furthest])
        const places = ledger.events.flatMap((stored) => {
          const event = decode(stored)
          return event.type === 'StatusChanged' ? [order.indexOf(event.data.to)] : []
        })
        expect(places).toEqual([...new Set(places)].sort((left, right) => left - right))
      }),
      { numRuns: 200 },
    )
  })

  test('under reject ends where the accepted ones lead, each one transition on', () => {
    const pipeline = linear('reject', ['new', 'a', 'b', 'c', 'done'])
    const order = ['new', 'a', 'b', 'c', 'done']
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...order), { maxLength: 12 }), (statuses) => {
        const ledger = new Ledger(pipeline, {}, false)
        ledger.open()
        let place = 0
        for (const status of statuses) {
          const line = told(ledger.report({ status }))
          const reported = order.indexOf(status)
          if (reported === place) expect(line).toMatch(/^ignored duplicate \|/)
          else if (reported === place + 1) place += 1
          else expect(line).toBe('refused transition_not_allowed')
        }
        expect(ledger.current.tracks.main?.status).toBe(order[place])
      }),
      { numRuns: 200 },
    )
  })
})
