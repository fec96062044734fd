import { setMaxListeners } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { Caller } from '../../src/access/access.ts'
import type { ReadContext } from '../../src/api/context.ts'
import { defaultApiLimits } from '../../src/api/limits.ts'
import { findOperation, type OperationAnswer, type OperationQuestion } from '../../src/api/operationAnswer.ts'
import { listOperations } from '../../src/api/operationPage.ts'
import { createPositionTokens } from '../../src/api/positionToken.ts'
import { readVisible } from '../../src/api/visibility.ts'
import type { CommandService } from '../../src/commands/commandService.ts'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import type { Random } from '../../src/demo/random.ts'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { SelfAudit } from '../../src/processes/selfAudit.ts'
import { CheckpointSignal } from '../../src/projections/checkpointSignal.ts'
import { ControlWorker } from '../../src/projections/control/controlWorker.ts'
import { createProjector } from '../../src/projections/projector.ts'
import { type Projector, ReadModelUnavailableError } from '../../src/projections/readModel.ts'
import type { SnapshotStore } from '../../src/snapshots/snapshotStore.ts'
import { Connection, type DatabaseServer } from './database.ts'
import type { Plan } from './plan.ts'
import { Actor, type Scheduler } from './scheduler.ts'
import { type LogServer, SimulatedLog } from './simulatedLog.ts'
import {
  createSimulatedAuditRows,
  createSimulatedOrders,
  createSimulatedReadModel,
  type Query,
} from './simulatedReads.ts'
import { createSimulatedSnapshots } from './simulatedSnapshots.ts'
import { createSimulatedStore } from './simulatedStore.ts'
import { randomUuid, wallClockMs } from './virtualTime.ts'

export interface NodeParts {
  readonly plan: Plan
  readonly scheduler: Scheduler
  readonly random: Random
  readonly logServer: LogServer
  readonly database: DatabaseServer
  /** Stands between the projector and the log: for a planted bug. */
  readonly projectedAs: (log: EventLog) => EventLog
  /** The same, between the commands and their snapshots. */
  readonly snapshotsAs: (snapshots: SnapshotStore) => SnapshotStore
}
/** Who reads: keys are no part of what is simulated. */
const reader: Caller = { name: 'reader', keyId: null, roles: ['viewer'], origin: 'nobody' }

/** One process of the service: all of its rooms but HTTP, over a simulated log and database. */
export class SimulatedNode {
  readonly actor: Actor
  readonly log: SimulatedLog
  readonly logId: string
  readonly commands: CommandService
  readonly projector: Projector
  readonly audit: SelfAudit | null
  readonly #context: ReadContext
  /** Open connections of callers: told when the node dies. */
  readonly #callers = new Set<() => void>()

  /** Starts it. Its clock is off by as much as its predecessor's was. */
  constructor(
    name: string,
    clockOffsetMs: number,
    { plan, scheduler, random, logServer, database, projectedAs, snapshotsAs }: NodeParts,
  ) {
    const actor = new Actor(name)
    actor.clockOffsetMs = clockOffsetMs
    scheduler.current = actor
    this.actor = actor
    const log = new SimulatedLog(logServer, actor, scheduler, random.fork('log'))
    this.log = log
    const databaseRandom = random.fork('database')
    const query: Query = (work) => queryOnce(work, database, { scheduler, random: databaseRandom })
    const snapshots = createSimulatedSnapshots(query, random.fork('snapshots'))
    const commands = createCommandService({
      log,
      snapshots: snapshotsAs(snapshots),
      clock: () => wallClockMs(scheduler),
      monotonicMs: () => scheduler.nowMs,
      limits: plan.limits,
    })
    this.commands = commands
    const connect = () => Connection.open(database, actor, { scheduler, random: databaseRandom })
    const signal = new CheckpointSignal()
    this.projector = createProjector({
      store: createSimulatedStore(connect),
      log: projectedAs(log),
      signal,
      confirmed: (operation) => commands.cached(operation)?.state ?? null,
      windowMs: plan.windowMs,
      batchEventsMax: plan.batchEventsMax,
      rebuildBatchEventsMax: plan.batchEventsMax * 7,
      cacheBytesMax: plan.cacheBytesMax,
      takeOverIntervalMs: 100,
      retryMaxMs: 200,
    })
    const { logId } = logServer
    const draining = new AbortController()
    setMaxListeners(0, draining.signal)
    this.logId = logId
    this.#context = {
      access: { authenticate: () => reader, closed: () => null },
      log,
      commands,
      readModel: createSimulatedReadModel(query, signal, logId),
      projector: this.projector,
      tokens: createPositionTokens(logId),
      limits: { ...defaultApiLimits, waitSDefault: 1 },
      draining: draining.signal,
    }
    const orders = createSimulatedOrders(query, () => randomUuid(databaseRandom))
    const controlWorker = new ControlWorker({ store: orders, projector: this.projector, lookIntervalMs: 200 })
    this.audit = plan.audits
      ? new SelfAudit({
          log,
          rows: createSimulatedAuditRows(query, logId),
          intervalMs: 300,
          random: drawn(random.fork('audit')),
        })
      : null
    this.projector.start()
    controlWorker.start()
    this.audit?.start()
  }

  /** Gone at once, with all it has in memory. What it has sent may still arrive. */
  kill(): void {
    this.actor.isAlive = false
    for (const tell of this.#callers) tell()
    this.#callers.clear()
  }

  /** Calls back if the node dies before `leave` is called. */
  enter(tell: () => void): { readonly leave: () => void } {
    this.#callers.add(tell)
    return { leave: () => this.#callers.delete(tell) }
  }

  token(position: bigint): string {
    return this.#context.tokens.encode(position)
  }

  findOperation(id: string, question: OperationQuestion): Promise<OperationAnswer> {
    return findOperation(this.#context, id, question, noHeaders)
  }

  list(idPrefix: string, question: OperationQuestion): Promise<{ readonly text: string; readonly position: bigint }> {
    const query = { ...question, idPrefix, sort: 'id' as const, pageSize: 1_000 }
    return readVisible(this.#context, query, noHeaders, () => listOperations(this.#context, query))
  }
}

const noHeaders: IncomingHttpHeaders = {}

const drawn = (random: Random) => (): number => random.next()

/** On a connection of its own, as a pool's: whatever is wrong, it says that it cannot be read. */
async function queryOnce<T>(
  work: (tables: DatabaseServer['tables']) => T,
  server: DatabaseServer,
  { scheduler, random }: { readonly scheduler: Scheduler; readonly random: Random },
): Promise<T> {
  const node = scheduler.current
  const fails = scheduler.nowMs < server.downUntilMs || random.chance(server.faults.readFails)
  return new Promise((resolve, reject) => {
    const delayMs = () => random.exponential(server.latencyMs)
    const perform = (): void => {
      try {
        if (fails) throw new ReadModelUnavailableError('the database does not answer')
        const value = work(server.tables)
        scheduler.after(delayMs(), () => resolve(value), node)
      } catch (error) {
        scheduler.after(delayMs(), () => reject(error), node)
      }
    }
    scheduler.after(delayMs(), perform, server.actor)
  })
}
