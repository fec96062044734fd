import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../../src/eventlog/postgres/postgresEventLog.ts'
import { createProjections } from '../../../src/projections/projections.ts'
import { until } from '../../nodes/support/until.ts'

/**
 * Folds the read model anew from the log, with the service's own projector. No node may run: one that does keeps the
 * projection. `seenAs` puts something between the projector and the log,
 * and `open` says where that is.
 */
export async function rebuildReadModel(
  connectionString: string,
  seenAs: (log: EventLog) => EventLog = (log) => log,
  open: () => Promise<EventLog> = () => openPostgresEventLog({ connectionString }),
): Promise<void> {
  const log = await open()
  const projections = createProjections({ connectionString, role: 'waybill_service', log: seenAs(log) })
  const { projector } = projections
  try {
    projector.start()
    await until('the projector has the projection', 30_000, () => projector.status().phase === 'live')
    await projector.rebuild()
  } finally {
    await projections.close()
    await log.close()
  }
}
