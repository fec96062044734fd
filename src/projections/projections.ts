import type { EventLog } from '../eventlog/eventLog.ts'
import { type MigrateResult, migrate } from '../postgres/migrate.ts'
import { type AuditRows, createAuditRows } from './auditRows.ts'
import { CheckpointSignal } from './checkpointSignal.ts'
import { createReadModel, type ReadModelSettings } from './postgresReadModel.ts'
import { createProjector, type ProjectorSettings } from './projector.ts'
import type { Projector, ReadModel } from './readModel.ts'

export interface ProjectionsSettings
  extends Omit<ReadModelSettings, 'signal' | 'logId'>,
    Omit<ProjectorSettings, 'signal' | 'connectionString' | 'role'> {
  readonly log: EventLog
  /** Told each position up to which the log's events were found folded: the log was there already, whatever comes later. */
  readonly onCheckpoint?: (position: bigint) => void
}

export interface Projections {
  readonly readModel: ReadModel
  /** Not started yet. */
  readonly projector: Projector
  readonly auditRows: AuditRows
  /** Stops the projector, then ends the connections. */
  close(): Promise<void>
}

/** Brings the read model's schema up to date; run before `createProjections`, as the owner of the database. */
export function migrateReadModel(connectionString: string): Promise<MigrateResult> {
  return migrate({ connectionString, room: 'projections', directory: new URL('./migrations/', import.meta.url) })
}

/** The read model of a log, and the projector that fills it: a node's both know of each other, so that no wait costs a query. */
export function createProjections(settings: ProjectionsSettings): Projections {
  const signal = new CheckpointSignal(settings.onCheckpoint)
  const readModel = createReadModel({ ...settings, signal, logId: settings.log.logId })
  const projector = createProjector({ ...settings, signal })
  const auditRows = createAuditRows({ ...settings, logId: settings.log.logId })
  return {
    readModel,
    projector,
    auditRows,
    async close() {
      await projector.stop()
      await auditRows.close()
      await readModel.close()
    },
  }
}
