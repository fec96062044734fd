import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { CompiledPipeline } from '../../src/operation/pipeline.ts'
import { given, Ledger, pipeline, type Report, told } from './support/ledger.ts'

/**
 * A real process with loops: the variants of the public log "Receipt phase of an environmental permit application process"
 * (CoSeLoG, 4TU.ResearchData, 1,434 cases, 8,577 events), activities and people as numbers. Each variant ends in a report
 * `end` that was added, as the log's cases end in many activities.
 */
interface ProcessLog {
  readonly variants: readonly { readonly cases: number; readonly events: readonly [number, number, number][] }[]
}

const { variants }: ProcessLog = JSON.parse(readFileSync(new URL('./samples/processLog.json', import.meta.url), 'utf8'))

/** Each variant as it happened, with counters where one service walks it, with observed times where each person is one. */
const counted = variants
  .map(({ events }) => reportsOf(events.map(([status]) => ({ status: `t${status}`, service: 'workflow' }))))
  .map((reports) => reports.map((report, sequence) => ({ ...report, sequence })))
const observed = variants.map(({ events }) => {
  const start = Date.UTC(2011, 9, 11)
  const times = events.map(([, , second]) => new Date(start + second * 1_000).toISOString())
  const reports = reportsOf(events.map(([status, person]) => ({ status: `t${status}`, service: `p${person}` })))
  return reports.map((report, index) => ({
    ...report,
    observedAt: times[index] ?? new Date(Date.parse(times.at(-1) ?? '') + 1_000).toISOString(),
  }))
})

function reportsOf(reports: readonly { readonly status: string; readonly service: string }[]): Report[] {
  return [...reports, { status: 'end', service: 'workflow' }]
}

/** What follows what in the log. Where nearly everything follows everything, few reports come too early. */
function definitionOf(cases: readonly (readonly Report[])[], orderBy: string): CompiledPipeline {
  const transitions = new Map<string, Set<string>>()
  for (const reports of cases) {
    for (const [index, { status }] of reports.entries()) {
      const from = index === 0 ? 'start' : (reports[index - 1]?.status ?? '')
      transitions.set(from, (transitions.get(from) ?? new Set()).add(status))
    }
  }
  const entries = [...transitions].map(([from, targets]) => [from, [...targets]])
  return pipeline({
    outOfOrder: 'hold',
    orderBy,
    tracks: {
      main: { initial: 'start', transitions: Object.fromEntries(entries), final: { end: 'succeeded' } },
    },
  })
}

/** A stream of numbers from 0 to 1 (mulberry32), so that a run can be told by its seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** No report comes more than 8 places before or after its own. */
function outOfOrder<T>(reports: readonly T[], random: () => number): T[] {
  return reports
    .map((report, index) => ({ report, place: index + random() * 8 }))
    .sort((one, other) => one.place - other.place)
    .map(({ report }) => report)
}

const roundsEach = 10

describe.each([
  ['by counters, where one service walks the loops', counted, 'sequence'],
  ['by observed times, where several services walk them', observed, 'observedAt'],
] as [string, Report[][], string][])('a real log with loops, %s', (_, cases, orderBy) => {
  const whole = definitionOf(cases, orderBy)

  test('ends right however it is delivered, up to 8 places out of order', () => {
    let delivered = 0
    let held = 0
    for (const [index, reports] of cases.entries()) {
      // By the whole log's transitions, and by those of the case alone: there nearly every early report has to wait.
      for (const [which, definition] of [whole, definitionOf([reports], orderBy)].entries()) {
        for (let round = 0; round < roundsEach; round += 1) {
          const ledger = new Ledger(definition, {}, false)
          ledger.open()
          for (const report of outOfOrder(reports, randomOf(index * 1_000 + which * 100 + round))) {
            if (told(ledger.report(report)).startsWith('held')) held += 1
          }
          const { state, tracks, held: left } = ledger.current
          assert.deepEqual([state, tracks.main?.status, left], ['succeeded', 'end', []], `case ${index} round ${round}`)
          delivered += 1
        }
      }
    }
    expect(delivered).toBe(variants.length * 2 * roundsEach)
    expect(held).toBeGreaterThan(delivered)
  })

  test('delivered as it happened takes every step, in order', () => {
    for (const reports of cases) {
      const ledger = given(whole, ...reports)
      const steps = ledger.events.map(({ type, data }) => [type, JSON.parse(data).to ?? JSON.parse(data).reason])
      const expected = reports.map(({ status }, index) =>
        reports[index - 1]?.status === status && !isRepeatable(whole, status)
          ? ['ReportIgnored', 'duplicate']
          : ['StatusChanged', status],
      )
      assert.deepEqual(steps.slice(1), expected)
    }
  })
})

function isRepeatable(definition: CompiledPipeline, status: string): boolean {
  return definition.definition.tracks.main?.transitions[status]?.includes(status) ?? false
}
