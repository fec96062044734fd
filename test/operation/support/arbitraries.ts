import * as fc from 'fast-check'
import { normaliseDefinition } from '../../../src/operation/definition.ts'
import { isJsonObject, type JsonObject } from '../../../src/operation/json.ts'
import { type CompiledPipeline, compilePipeline, type OutOfOrder } from '../../../src/operation/pipeline.ts'
import type { Report } from './ledger.ts'

const trackNames = ['main', 'side', 'tail'] as const
const policies: fc.Arbitrary<OutOfOrder> = fc.constantFrom('reject', 'advance', 'hold')

function statusesOf(track: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${track[0]}${index}`)
}

// What is chained on is made once, not at each draw: of 25 definitions that are drawn, one is valid.
const conditionsOf = trackNames.map((track) =>
  fc
    .uniqueArray(fc.constantFrom(...statusesOf(track, 6)), { minLength: 1, maxLength: 2 })
    .map((statuses) => ({ track, in: statuses })),
)
const condition = fc.constantFrom(...trackNames.keys()).chain((index) => at(conditionsOf, index))
/** What a join asks: now and then a skipped track will do. */
const joinCondition = fc
  .tuple(condition, fc.constantFrom(false, false, true))
  .map(([asked, orSkipped]) => (orSkipped ? { ...asked, orSkipped } : asked))
const outcomes = fc.constantFrom('succeeded', 'failed')

function trackShape(track: string, branches: boolean) {
  const shapes = [2, 3, 4, 5, 6].map((count) => shapeOf(statusesOf(track, count), branches))
  return fc.integer({ min: 2, max: 6 }).chain((count) => at(shapes, count - 2))
}

/** Transitions between statuses by number; every status but the last may lead on, forwards, or back where that is allowed. */
function shapeOf(statuses: readonly string[], branches: boolean) {
  const count = statuses.length
  const edges = fc.uniqueArray(fc.tuple(fc.nat(count - 2), fc.nat(count - 1)), {
    maxLength: branches ? 8 : 0,
    selector: ([from, to]) => from * count + to,
  })
  const joins = fc.uniqueArray(
    fc.tuple(
      fc.constantFrom(...statuses.slice(1)),
      fc.array(branches ? joinCondition : condition, { minLength: 1, maxLength: 2 }),
    ),
    { maxLength: 2, selector: ([status]) => status },
  )
  return fc
    .record({ edges, joins, starts: fc.option(condition, { nil: undefined, freq: 2 }), outcome: outcomes })
    .map(({ edges: extra, joins: requires, starts, outcome }) => {
      const pairs = [...statuses.slice(1).map((_, index): [number, number] => [index, index + 1]), ...extra]
      const transitions = new Map<string, Set<string>>()
      for (const [from, to] of pairs) {
        const [source, target] = [statuses[from] ?? '', statuses[to] ?? '']
        transitions.set(source, (transitions.get(source) ?? new Set()).add(target))
      }
      return {
        initial: statuses[0],
        transitions: Object.fromEntries([...transitions].map(([from, to]) => [from, [...to]])),
        final: { [statuses[count - 1] ?? '']: outcome },
        ...(requires.length === 0 ? {} : { requires: Object.fromEntries(requires) }),
        ...(starts === undefined ? {} : { startsWhen: starts }),
      }
    })
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new RangeError(`nothing at ${index}`)
  return item
}

/** Valid pipelines of one to three tracks with starts, joins and, if wanted, branches and (unless they advance) cycles. */
export function pipelines(options: { branches: boolean; policy?: OutOfOrder }): fc.Arbitrary<CompiledPipeline> {
  const definition = fc.record({
    outOfOrder: options.policy === undefined ? policies : fc.constant(options.policy),
    lateData: fc.constantFrom('fill', 'record'),
    recordIgnored: fc.boolean(),
    orderBy: fc.constantFrom('sequence', 'sequence', 'observedAt'),
    tracks: fc
      .tuple(
        trackShape('main', options.branches),
        fc.option(trackShape('side', options.branches), { nil: undefined }),
        fc.option(trackShape('tail', options.branches), { nil: undefined }),
      )
      .map((tracks) =>
        Object.fromEntries(
          trackNames.flatMap((name, index) => (tracks[index] === undefined ? [] : [[name, tracks[index]]])),
        ),
      ),
  })
  return definition
    .map((candidate) => normaliseDefinition(candidate))
    .filter((checked) => checked.kind === 'valid')
    .map((checked) => compilePipeline('p', 1, checked.definition))
}

const member = fc.constantFrom('a', 'b', 'c', '__proto__')
const leaf = fc.constantFrom<(null | number | string)[]>(null, 0, 1, 'x')

/** Small documents, so that they meet on the same members. */
export const documents: fc.Arbitrary<JsonObject> = fc.letrec<{ object: JsonObject }>((tie) => ({
  object: fc
    .uniqueArray(fc.tuple(member, fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('object'))), {
      maxLength: 3,
      selector: ([name]) => name,
    })
    .map((entries) => Object.fromEntries(entries)),
})).object

/** Any report to a pipeline: mostly of its tracks and statuses, now and then of none. */
export function reports(pipeline: CompiledPipeline): fc.Arbitrary<Report> {
  const known = [...pipeline.tracks.values()].flatMap((track) =>
    track.graph.statuses.map((status) => ({ track: track.name, status })),
  )
  const places = known.length === 0 ? [{ track: 'main', status: 'x' }] : known
  return fc
    .record(
      {
        place: fc.oneof(
          { weight: 20, arbitrary: fc.constantFrom(...places) },
          { weight: 1, arbitrary: fc.constantFrom({ track: 'none', status: 'x' }, { track: 'main', status: 'x' }) },
        ),
        service: fc.constantFrom('s', '__proto__'),
        sequence: fc.nat(6),
        observedAt: fc.nat(6).map((ms) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString()),
        data: documents,
        metadata: documents,
        pipeline: fc.oneof(
          { weight: 20, arbitrary: fc.constant(pipeline.name) },
          { weight: 1, arbitrary: fc.constant('other') },
        ),
      },
      { requiredKeys: ['place', 'service', 'pipeline'] },
    )
    .map(({ place, ...rest }) => ({ ...place, ...rest }))
}

/** Every report of a pipeline's statuses but the initial ones, some of them more than once, in any order. */
export function deliveries(complete: readonly Report[]): fc.Arbitrary<Report[]> {
  return fc.array(fc.constantFrom(...complete), { maxLength: 6 }).chain((repeats) => {
    const all = [...complete, ...repeats]
    return fc.shuffledSubarray(all, { minLength: all.length })
  })
}

export function freeze(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) freeze(item)
  else if (isJsonObject(value)) for (const item of Object.values(value)) freeze(item)
  if (typeof value === 'object' && value !== null) Object.freeze(value)
}
