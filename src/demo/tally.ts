import type { Answer } from './ledger.ts'

/** Running counts and latencies of a run, for the progress display and the summary. */
export interface Tally {
  /** Commands that have their definite answer. */
  commands: number
  /** Commands sent, repeats included. */
  sendings: number
  reads: number
  operationsDone: number
  duplicatesAbsorbed: number
  hangUps: number
  /** Attempts that failed and were made again. */
  retries: number
  readonly outcomes: Map<string, number>
  readonly statuses: Map<string, number>
  readonly writeLatency: LatencyHistogram
  readonly readLatency: LatencyHistogram
}

export function createTally(): Tally {
  return {
    commands: 0,
    sendings: 0,
    reads: 0,
    operationsDone: 0,
    duplicatesAbsorbed: 0,
    hangUps: 0,
    retries: 0,
    outcomes: new Map(),
    statuses: new Map(),
    writeLatency: createLatencyHistogram(),
    readLatency: createLatencyHistogram(),
  }
}

export function countOutcome(tally: Tally, answer: Answer): void {
  const name = answer.code ?? (answer.reason === null ? answer.outcome : `${answer.outcome} ${answer.reason}`)
  bump(tally.outcomes, name ?? 'unknown')
}

export function bump(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

export interface LatencyHistogram {
  add(latencyMs: number): void
  /** Milliseconds below which `share` (0 to 1) of the latencies lie, within 4%; null when there are none. */
  quantile(share: number): number | null
  readonly count: () => number
}

/** Buckets that grow by 4%: 400 of them reach from 10 us to over a minute, whatever the number of samples. */
export function createLatencyHistogram(): LatencyHistogram {
  const buckets = new Uint32Array(400)
  const growth = Math.log(1.04)
  const floorMs = 0.01
  let count = 0
  return {
    add: (latencyMs) => {
      const bucket = latencyMs <= floorMs ? 0 : Math.ceil(Math.log(latencyMs / floorMs) / growth)
      const index = Math.min(bucket, buckets.length - 1)
      buckets[index] = (buckets[index] ?? 0) + 1
      count += 1
    },
    quantile: (share) => {
      if (count === 0) return null
      let seen = 0
      for (const [index, size] of buckets.entries()) {
        seen += size
        if (seen >= share * count) return floorMs * Math.exp(index * growth)
      }
      return null
    },
    count: () => count,
  }
}
