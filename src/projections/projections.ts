import type { EventLog } from '../eventlog/eventLog.ts'
import { boundedBy, createPool } from '../postgres/connection.ts'
import { type MigrateResult, migrate } from '../postgres/migrate.ts'
import { type AuditRows, createAuditRows } from './auditRows.ts'
import { CheckpointSignal } from './checkpointSignal.ts'
import type { ProjectionControl } from './control/control.ts'
import { createControlStore } from './control/controlStore.ts'
import { ControlWorker } from './control/controlWorker.ts'
import { createPostgresProjectionStore } from './postgresProjectionStore.ts'
import { projectionName } from './projectionStore.ts'
import { createProjector, type ProjectorSettings } from './projector.ts'
import { createReadModel, type ReadModelSettings } from './queries/postgresReadModel.ts'
import type { Projector, ReadModel } from './readModel.ts'

export interface ProjectionsSettings
  extends Omit<ReadModelSettings, 'signal' | 'logId'>,
    Omit<ProjectorSettings, 'signal' | 'store'> {
  readonly log: EventLog
  /** Told each position up to which the log's events were found folded: the log was there already, whatever comes later. */
  readonly onCheckpoint?: (position: bigint) => void
  /** How often this node looks for operators' orders; default 500. */
  readonly lookIntervalMs?: number
}

export interface Projections {
  readonly readModel: ReadModel
  /** Not started yet. */
  readonly projector: Projector
  readonly auditRows: AuditRows
  /** What operators may ask of the projection. */
  readonly control: ProjectionControl
  /** From now on this node does what operators ask, when it is the one that projects. */
  takeOrders(): void
  /** Stops the projector, then ends the connections. */
  close(): Promise<void>
}

const controlConnectionsMax = 2
const controlTimeoutMs = 5_000

/** Brings the read model's schema up to date; run before `createProjections`, as the owner of the database. */
export function migrateReadModel(connectionString: string): Promise<MigrateResult> {
  return migrate({
    connectionString,
    module: 'projections',
    directory: new URL('./migrations/', import.meta.url),
    grants: new URL('./grants.sql', import.meta.url),
  })
}

/** The read model of a log, and the projector that fills it: a node's both know of each other, so that no wait costs a query. */
export function createProjections(settings: ProjectionsSettings): Projections {
  const { connectionString, role, admit } = settings
  const signal = new CheckpointSignal(settings.onCheckpoint)
  const readModel = createReadModel({ ...settings, signal, logId: settings.log.logId })
  const projector = createProjector({ ...settings, signal, store: createPostgresProjectionStore(settings) })
  const auditRows = createAuditRows({ ...settings, logId: settings.log.logId })
  const pool = createPool({
    connectionString,
    applicationName: 'waybill control',
    max: controlConnectionsMax,
    ...boundedBy(controlTimeoutMs),
    role,
    admit,
  })
  const store = createControlStore(pool, projectionName)
  const controlWorker = new ControlWorker({ ...settings, store, projector })
  const thenLook = async <T>(change: Promise<T>): Promise<T> => {
    const changed = await change
    // Otherwise it would hear of it with its next look, as all others do.
    void controlWorker.look()
    return changed
  }
  let closing: Promise<void> | null = null
  const close = async (): Promise<void> => {
    await controlWorker.stop()
    await projector.stop()
    await auditRows.close()
    await readModel.close()
    await pool.end()
  }
  return {
    readModel,
    projector,
    auditRows,
    control: {
      ...store,
      pause: (by) => thenLook(store.pause(by)),
      resume: () => thenLook(store.resume()),
      askRebuild: (by) => thenLook(store.askRebuild(by)),
    },
    takeOrders: () => controlWorker.start(),
    close() {
      closing ??= close()
      return closing
    },
  }
}
