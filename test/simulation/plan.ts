import type { CommandLimits } from '../../src/commands/commandLimits.ts'
import type { Random } from '../../src/demo/random.ts'
import { type Kind, kinds } from '../faults/pipelines.ts'

/** What a seed comes to: who takes part, and what goes wrong how often. Rates are probabilities of each call or statement. */
export interface Plan {
  readonly nodes: number
  readonly clients: number
  /** Those with the client library's own queue and retries. */
  readonly queueClients: number
  /** Calls after which nothing new is begun. */
  readonly calls: number
  readonly kinds: readonly [Kind, ...Kind[]]
  readonly operationsPerKind: number
  readonly pauseMs: number
  readonly latencyMs: number
  readonly log: LogFaults
  readonly rows: RowsFaults
  readonly network: NetworkFaults
  /** Mean milliseconds between two of a kind; null: none. */
  readonly crashes: number | null
  readonly freezes: number | null
  readonly clockJumps: number | null
  readonly logOutages: number | null
  readonly rowsOutages: number | null
  readonly partitions: number | null
  readonly orders: number | null
  readonly audits: boolean
  /** Rebuilds the read model at the end, and holds it against what it was. */
  readonly endsWithRebuild: boolean
  readonly limits: Partial<CommandLimits>
  readonly batchEventsMax: number
  readonly windowMs: number
  readonly cacheBytesMax: number
}

export interface LogFaults {
  readonly unavailable: number
  /** Nothing of the batch lands. */
  readonly unknownLost: number
  /** All of it does, before this is said. */
  readonly unknownLanded: number
  /** Each stream's chain comes to something of its own. */
  readonly mixed: number
  /** Said before it lands, as EventStoreDB may: 0 in most plans, as the answer then promises less. */
  readonly unknownLate: number
  readonly slow: number
  readonly readFails: number
  /** A subscription's connection is lost, and made again. */
  readonly drops: number
  /** A subscription ends with an error: more than the port allows. */
  readonly breaks: number
}

export interface RowsFaults {
  /** The connection is lost before the statement is done, or after. */
  readonly breaks: number
  /** The statement is done although its connection, and the lock, was lost long before. */
  readonly landsLate: number
  readonly slow: number
  readonly readFails: number
}

export interface NetworkFaults {
  readonly requestLost: number
  readonly answerLost: number
  /** The request arrives when its client has given up. */
  readonly late: number
}

/**
 * Half of the faults are left out of each plan (swarm testing: Groce and others, ISSTA 2012): some bugs need the absence of
 * what would hide them.
 */
export function makePlan(random: Random): Plan {
  const rate = (most: number): number => (random.chance(0.5) ? random.next() * most : 0)
  const every = (meanMs: number): number | null => (random.chance(0.5) ? meanMs * (0.5 + random.next()) : null)
  const unbounded = random.chance(0.15)
  return {
    nodes: random.integer(1, 3),
    clients: random.integer(1, 4),
    queueClients: random.chance(0.5) ? random.integer(1, 2) : 0,
    calls: random.integer(12, 48),
    kinds: someOf(random),
    operationsPerKind: random.integer(1, 2),
    pauseMs: random.pick([0, 2, 10, 30]),
    latencyMs: random.pick([0.2, 1, 5]),
    log: {
      unavailable: rate(0.1),
      unknownLost: rate(0.1),
      unknownLanded: rate(0.1),
      mixed: rate(0.1),
      unknownLate: unbounded ? rate(0.2) : 0,
      slow: rate(0.1),
      readFails: rate(0.1),
      drops: rate(0.2),
      breaks: rate(0.02),
    },
    rows: { breaks: rate(0.05), landsLate: rate(0.1), slow: rate(0.1), readFails: rate(0.1) },
    network: { requestLost: rate(0.05), answerLost: rate(0.1), late: rate(0.05) },
    crashes: every(300),
    freezes: every(300),
    clockJumps: every(200),
    logOutages: every(600),
    rowsOutages: every(600),
    partitions: every(400),
    orders: every(300),
    audits: random.chance(0.2),
    endsWithRebuild: random.chance(0.2),
    limits: makeLimits(random),
    batchEventsMax: random.pick([1, 3, 1_000]),
    windowMs: random.pick([0, 3, 12]),
    cacheBytesMax: random.pick([1, 10_000, 128 * 1024 * 1024]),
  }
}

function someOf(random: Random): readonly [Kind, ...Kind[]] {
  const [first, ...rest] = [random.pick(kinds), random.pick(kinds), random.pick(kinds)] as const
  return [first, ...rest.filter((kind) => kind !== first).slice(0, random.integer(0, 2))]
}

/** Small enough that a few dozen commands reach them. */
function makeLimits(random: Random): Partial<CommandLimits> {
  return {
    queuedCommandsMax: random.pick([4, 30, 10_000]),
    waitMsMax: random.pick([200, 10_000]),
    confirmMsMax: 60_000,
    batchCommandsMax: random.pick([1, 3, 1_000]),
    batchesInFlightMax: random.integer(1, 2),
    conflictsMax: random.pick([1, 5, 20]),
    loadsMax: random.pick([1, 256]),
    cachedOperationsMax: random.pick([1, 3, 50_000]),
    receiptsMax: random.pick([1, 4, 1_000]),
    snapshotEvery: random.pick([2, 5, 500]),
  }
}
