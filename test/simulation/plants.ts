import type { Random } from '../../src/demo/random.ts'
import type { AppendOutcome, AppendRequest, EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import type { SnapshotStore } from '../../src/snapshots/snapshotStore.ts'
import type { FaultType } from '../faults/history/faults.ts'
import type { Plan } from './plan.ts'
import { randomUuid } from './virtualTime.ts'

/** A bug put into a run, to see that it is found. */
export interface Plant {
  /** Stands in the place of the log that all nodes share. */
  readonly log?: (log: EventLog, random: Random) => EventLog
  /** What the log's own events are with the bug. */
  readonly shown?: (events: readonly RecordedEvent[]) => readonly RecordedEvent[]
  /** Stands between each node's projector and its log. */
  readonly projectedAs?: (log: EventLog) => EventLog
  /** Stands between each node's commands and their snapshots. */
  readonly snapshotsAs?: (snapshots: SnapshotStore) => SnapshotStore
  /** The plan of a run that gives it the chance. */
  readonly plan?: (plan: Plan) => Plan
  /** False: the rows are written whoever owns them. */
  readonly isFenced?: boolean
}

export interface PlantedBug extends Plant {
  /** What it must be found as: one of these at least. */
  readonly types: readonly FaultType[]
}

/** Of the smallest filter of keys. */
const noBits = Buffer.alloc(384).toString('base64')

/** How often a bug that is there shows itself. */
const rate = 0.05

/** Those of the history checker's own tests (test/faults/history/plantedBugs.test.ts), and some that only a simulation can have. */
export const plantedBugs = {
  'a lost write: appended, says the log, and keeps nothing': {
    types: ['lost_write'],
    log: (log, random) => ({
      ...log,
      append: async (batch) => (random.chance(rate) ? batch.map(asIfAppended) : log.append(batch)),
    }),
  },
  'a double: an append that lands twice': {
    types: ['doubled_write'],
    log: (log, random) => ({
      ...log,
      async append(batch) {
        const outcomes = await log.append(batch)
        for (const [index, outcome] of outcomes.entries()) {
          const { stream, events } = batch[index] as AppendRequest
          if (outcome.kind !== 'appended' || events.length === 0 || !random.chance(rate)) continue
          const again = events.map((event) => ({ ...event, id: randomUuid(random) }))
          await log.append([{ stream, expectedRevision: outcome.revision, events: again }])
        }
        return outcomes
      },
    }),
  },
  'a stale read: a replica that lags behind answers for the log': {
    types: ['stale_read', 'stale_decision'],
    log(log, random) {
      const lag = async <T>(fresh: Promise<T>, stale: (head: bigint) => (value: T) => T): Promise<T> => {
        const value = await fresh
        if (!random.chance(rate)) return value
        const head = await log.head()
        return stale(head > 3n ? head - 3n : 0n)(value)
      }
      const upTo = (head: bigint) => (events: readonly RecordedEvent[]) =>
        events.filter(({ position }) => position <= head)
      return {
        ...log,
        readStream: (stream, options) => lag(log.readStream(stream, options), upTo),
        head: () => lag(log.head(), (head) => () => head),
      }
    },
  },
  'a skipped revision': { types: ['revision_gap'], log: skipsRevisions, shown: skipping },
  'a broken chain: later links are tried although an earlier one conflicts': {
    types: ['broken_chain', 'wrong_transition'],
    log: (log) => ({
      ...log,
      async append(batch) {
        const outcomes: AppendOutcome[] = []
        for (const request of batch) outcomes.push(...(await log.append([request])))
        return outcomes
      },
    }),
  },
  'a projector that skips an event': {
    types: ['read_model_row', 'read_model_parked'],
    projectedAs: (log) => ({
      logId: log.logId,
      append: log.append.bind(log),
      readStream: log.readStream.bind(log),
      readEvent: log.readEvent.bind(log),
      readAll: async (options) => (await log.readAll(options)).filter(isSeen),
      head: log.head.bind(log),
      close: log.close.bind(log),
      async *subscribe(options) {
        for await (const events of log.subscribe(options)) yield events.filter(isSeen)
      },
    }),
  },
  'a forgotten key: neither the node nor the log remembers those of long ago': {
    types: ['doubled_write'],
    plan: (plan) => ({ ...plan, limits: { ...plan.limits, receiptsMax: 1 } }),
    log: (log, random) => ({
      ...log,
      readEvent: async () => null,
      async append(batch) {
        const renewed = batch.map((request) => ({
          ...request,
          events: request.events.map((event) => ({ ...event, id: randomUuid(random) })),
        }))
        return log.append(renewed)
      },
    }),
  },
  'a snapshot without its keys, over a log that takes an event id twice': {
    types: ['doubled_write'],
    log: (log, random) => ({
      ...log,
      async append(batch) {
        const outcomes = [...(await log.append(batch))]
        for (const [index, { kind }] of outcomes.entries()) {
          const request = batch[index]
          if (kind !== 'duplicate' || request === undefined) continue
          const events = request.events.map((event) => ({ ...event, id: randomUuid(random) }))
          outcomes[index] = (await log.append([{ ...request, events }]))[0] ?? { kind }
        }
        return outcomes
      },
    }),
    plan: (plan) => ({ ...plan, limits: { ...plan.limits, snapshotEvery: 2, cachedOperationsMax: 1 } }),
    snapshotsAs: (snapshots) => ({
      ...snapshots,
      read: async (operation) =>
        (await snapshots.read(operation))?.replaceAll(/"bits":"[^"]*"/g, `"bits":"${noBits}"`) ?? null,
    }),
  },
  'a snapshot that forgets the marks of services': {
    types: ['wrong_transition', 'wrong_refusal'],
    plan: withManySnapshots,
    snapshotsAs: withState((state) => state.replaceAll(/"(marks|observedMarks)":\{[^}]*\}/g, '"$1":{}')),
  },
  'a snapshot that forgets what was deleted': {
    types: ['wrong_transition', 'wrong_read', 'wrong_refusal', 'read_model_row'],
    plan: (plan) => ({ ...withManySnapshots(plan), calls: 80, operationsPerKind: 1 }),
    snapshotsAs: withState((state) => state.replace('"deleted":{"data":{"shared":null}', '"deleted":{"data":{}')),
  },
  'no fence: who lost the projection goes on writing it': {
    types: ['read_model_row', 'read_model_checkpoint', 'read_model_parked', 'stale_read', 'not_back_in_time'],
    // Rare: it takes a statement that lands late, and wrong rows that nothing puts right by the end.
    plan: (plan) => ({ ...plan, nodes: 3, rows: { ...plan.rows, landsLate: 0.2 } }),
    isFenced: false,
  },
  'a write that lands after it was said that it never will': {
    types: ['not_taken_in_log'],
    log: (log, random) => ({
      ...log,
      append: async (batch) => (random.chance(rate) ? landAll(log, batch) : log.append(batch)),
    }),
  },
  'a late event: a reader of the log is shown what comes later first': {
    types: ['late_event'],
    log: (log, random) => ({
      ...log,
      async readAll(options) {
        const events = await log.readAll(options)
        // Few clients read the whole log twice.
        return events.length > 1 && random.chance(4 * rate) ? events.slice(1) : events
      },
    }),
  },
} as const satisfies Readonly<Record<string, PlantedBug>>

export type BugName = keyof typeof plantedBugs

/** Operations are begun anew from their snapshots all the time. */
function withManySnapshots(plan: Plan): Plan {
  return { ...plan, limits: { ...plan.limits, snapshotEvery: 2, cachedOperationsMax: 1 } }
}

function withState(change: (state: string) => string): (snapshots: SnapshotStore) => SnapshotStore {
  return (snapshots) => ({
    ...snapshots,
    async read(operation) {
      const text = await snapshots.read(operation)
      if (text === null) return null
      const snapshot = JSON.parse(text) as { readonly state: string }
      return JSON.stringify({ ...snapshot, state: change(snapshot.state) })
    },
  })
}

function asIfAppended({ expectedRevision, events }: AppendRequest): AppendOutcome {
  const revision = (expectedRevision === 'noStream' ? -1n : expectedRevision) + BigInt(events.length)
  return { kind: 'appended', revision, position: events.length === 0 ? 0n : 1n }
}

async function landAll(log: EventLog, batch: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
  await log.append(batch)
  return batch.map(() => ({ kind: 'unavailable' }))
}

/** Every fortieth event of the log. */
function isSeen({ position }: RecordedEvent): boolean {
  return position % 40n !== 20n
}

/** From there on, each stream counts one too far. */
const skipped = 3n
const shown = (revision: bigint) => (revision >= skipped ? revision + 1n : revision)
const meant = (revision: bigint) => (revision > skipped ? revision - 1n : revision)

function skipping(events: readonly RecordedEvent[]): readonly RecordedEvent[] {
  return events.map((event) => ({ ...event, revision: shown(event.revision) }))
}

function skipsRevisions(log: EventLog): EventLog {
  return {
    ...log,
    async append(batch) {
      const outcomes = await log.append(
        batch.map((request) => ({
          ...request,
          expectedRevision:
            request.expectedRevision === 'noStream' ? request.expectedRevision : meant(request.expectedRevision),
        })),
      )
      return outcomes.map((outcome) =>
        outcome.kind === 'appended'
          ? { ...outcome, revision: shown(outcome.revision) }
          : outcome.kind === 'conflict' && outcome.actualRevision !== null
            ? { ...outcome, actualRevision: shown(outcome.actualRevision) }
            : outcome,
      )
    },
    readStream: async (stream, { fromRevision, ...options }) =>
      skipping(
        await log.readStream(stream, {
          ...options,
          ...(fromRevision === undefined ? {} : { fromRevision: meant(fromRevision) }),
        }),
      ),
    readEvent: async (stream, id) => {
      const event = await log.readEvent(stream, id)
      return event === null ? null : { ...event, revision: shown(event.revision) }
    },
    readAll: async (options) => skipping(await log.readAll(options)),
  }
}
