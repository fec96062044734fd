import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { canReach, passedBetween, relation, type StatusGraph, statusGraph } from '../../src/operation/graph.ts'

/** Any graph of up to seven statuses; without cycles when every transition leads to a later one. */
function graphs(acyclic: boolean): fc.Arbitrary<StatusGraph> {
  const edge = fc.tuple(fc.nat(6), fc.nat(6)).filter(([from, to]) => !acyclic || from < to)
  return fc.uniqueArray(edge, { maxLength: 16, selector: ([from, to]) => from * 7 + to }).map((edges) => {
    const transitions = new Map<string, string[]>()
    for (const [from, to] of edges) transitions.set(`s${from}`, [...(transitions.get(`s${from}`) ?? []), `s${to}`])
    return statusGraph(
      Array.from({ length: 7 }, (_, index) => `s${index}`),
      transitions,
    )
  })
}

const status = fc.nat(6).map((index) => `s${index}`)

/** Every path without repeats from one status to another, by trying them all. */
function paths(graph: StatusGraph, from: string, to: string, before: readonly string[] = []): string[][] {
  const next = graph.next[graph.indexes.get(from) ?? 0] ?? []
  return next.flatMap((index) => {
    const target = graph.statuses[index] ?? ''
    if (target === to) return [[...before, target]]
    return before.includes(target) ? [] : paths(graph, target, to, [...before, target])
  })
}

test('what is passed by a jump is what lies on every path', () => {
  fc.assert(
    fc.property(graphs(true), status, status, (graph, from, to) => {
      const all = paths(graph, from, to)
      const onAll = graph.statuses.filter((one) => one !== to && all.every((path) => path.includes(one)))
      const passed = passedBetween(graph, from, to)
      expect([...passed].sort()).toEqual(all.length === 0 ? [] : onAll)
      for (const path of all) expect(path.filter((one) => passed.includes(one))).toEqual(passed)
    }),
    { numRuns: 1_000 },
  )
})

test('relations are those of the paths there are', () => {
  fc.assert(
    fc.property(graphs(false), status, status, (graph, current, other) => {
      const steps = paths(graph, current, other)
      const back = paths(graph, other, current)
      const expected = steps.some((path) => path.length === 1)
        ? 'next'
        : current === other
          ? 'current'
          : steps.length > 0
            ? 'ahead'
            : back.length > 0
              ? 'behind'
              : 'unreachable'
      expect(relation(graph, current, other)).toBe(expected)
      expect(canReach(graph, current, other)).toBe(steps.length > 0)
    }),
    { numRuns: 1_000 },
  )
})

test('a graph with a cycle has no topological order, and passes nothing', () => {
  const graph = statusGraph(
    ['a', 'b', 'c'],
    new Map([
      ['a', ['b']],
      ['b', ['a', 'c']],
    ]),
  )
  expect(graph.order).toBeNull()
  expect(passedBetween(graph, 'a', 'c')).toEqual([])
})

test('names the graph does not have are not reachable', () => {
  const graph = statusGraph(['a', 'b'], new Map([['a', ['b']]]))
  for (const name of ['c', '__proto__', 'constructor']) {
    expect(relation(graph, 'a', name)).toBe('unreachable')
    expect(relation(graph, name, 'a')).toBe('unreachable')
    expect(canReach(graph, 'a', name)).toBe(false)
  }
})

test('a jump across a graph of the largest size comes to its end', () => {
  const statuses = Array.from({ length: 128 }, (_, index) => `s${index}`)
  const transitions = new Map(statuses.map((name, index) => [name, statuses.slice(index + 1, index + 9)]))
  const before = process.cpuUsage()
  const graph = statusGraph(statuses, transitions)
  for (let round = 0; round < 100; round += 1) passedBetween(graph, 's0', 's127')
  // Some tens of milliseconds of processor time. Path by path it would be years.
  expect(process.cpuUsage(before).user / 1e3).toBeLessThan(20_000)
})
