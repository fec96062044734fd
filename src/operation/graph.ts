/** How a status stands to a track's current one. */
export type Relation =
  /** It is the current one, and no transition leads from it to itself. */
  | 'current'
  /** One transition away. */
  | 'next'
  /** Several transitions away. */
  | 'ahead'
  /** The current one is reachable from it, and not the reverse. */
  | 'behind'
  | 'unreachable'

/** The statuses of one track and their transitions, with reachability worked out. */
export interface StatusGraph {
  readonly statuses: readonly string[]
  readonly indexes: ReadonlyMap<string, number>
  /** By index. */
  readonly next: readonly (readonly number[])[]
  /** `statuses.length` squared; 1 where the column is reachable from the row by one transition or more. */
  readonly reachable: Uint8Array
  /** Indexes in topological order; null when there are cycles. */
  readonly order: readonly number[] | null
}

export function statusGraph(
  statuses: readonly string[],
  transitions: ReadonlyMap<string, readonly string[]>,
): StatusGraph {
  const indexes = new Map(statuses.map((status, index) => [status, index]))
  const next = statuses.map((status) =>
    (transitions.get(status) ?? []).flatMap((target) => {
      const index = indexes.get(target)
      return index === undefined ? [] : [index]
    }),
  )
  return { statuses, indexes, next, reachable: reachability(next), order: topologicalOrder(next) }
}

export function relation(graph: StatusGraph, current: string, status: string): Relation {
  const from = graph.indexes.get(current)
  const to = graph.indexes.get(status)
  if (from === undefined || to === undefined) return 'unreachable'
  if (graph.next[from]?.includes(to)) return 'next'
  if (from === to) return 'current'
  const size = graph.statuses.length
  if (graph.reachable[from * size + to] === 1) return 'ahead'
  return graph.reachable[to * size + from] === 1 ? 'behind' : 'unreachable'
}

/** By one transition or more. */
export function canReach(graph: StatusGraph, current: string, status: string): boolean {
  const from = graph.indexes.get(current)
  const to = graph.indexes.get(status)
  return from !== undefined && to !== undefined && graph.reachable[from * graph.statuses.length + to] === 1
}

/**
 * The statuses that lie on every path from `current` to `status`, both excluded, in the order they are passed.
 *
 * Sweeps the part of the graph between the two in topological order and remembers the furthest place an edge of the
 * statuses swept so far leads to: a status no edge leads past is on all paths. Linear, so that nothing quadratic has to
 * be kept for definitions that hardly ever see a jump. Empty for graphs with cycles: those never jump.
 */
export function passedBetween(graph: StatusGraph, current: string, status: string): string[] {
  const from = graph.indexes.get(current)
  const to = graph.indexes.get(status)
  const { order, reachable } = graph
  if (from === undefined || to === undefined || order === null) return []
  const size = graph.statuses.length
  const places = new Map<number, number>()
  for (const index of order) {
    const between = reachable[from * size + index] === 1 && reachable[index * size + to] === 1
    if (index === from || index === to || between) places.set(index, places.size)
  }
  const passed: string[] = []
  let furthest = 0
  for (const [index, place] of places) {
    if (index !== from && index !== to && furthest === place) passed.push(graph.statuses[index] ?? '')
    for (const target of graph.next[index] ?? []) furthest = Math.max(furthest, places.get(target) ?? 0)
  }
  return passed
}

function reachability(next: readonly (readonly number[])[]): Uint8Array {
  const size = next.length
  const reachable = new Uint8Array(size * size)
  for (let from = 0; from < size; from += 1) {
    const open = [...(next[from] ?? [])]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (reachable[from * size + index] === 1) continue
      reachable[from * size + index] = 1
      open.push(...(next[index] ?? []))
    }
  }
  return reachable
}

function topologicalOrder(next: readonly (readonly number[])[]): number[] | null {
  const incoming = next.map(() => 0)
  for (const targets of next) for (const target of targets) incoming[target] = (incoming[target] ?? 0) + 1
  const order = incoming.flatMap((count, index) => (count === 0 ? [index] : []))
  for (let place = 0; place < order.length; place += 1) {
    for (const target of next[order[place] ?? 0] ?? []) {
      const left = (incoming[target] ?? 0) - 1
      incoming[target] = left
      if (left === 0) order.push(target)
    }
  }
  return order.length === next.length ? order : null
}
