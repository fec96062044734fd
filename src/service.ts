import { once, setMaxListeners } from 'node:events'
import { createServer } from 'node:net'
import { holdsKeys } from './access/holdsKeys.ts'
import { type AccessLogger, openAccess } from './access/openAccess.ts'
import { type ApiLogger, buildServer } from './api/server.ts'
import { closeServer, letConnectionsLeave } from './api/serverEnd.ts'
import { createAuditTrail } from './audit/auditTrail.ts'
import { type CommandLogger, createCommandService } from './commands/createCommandService.ts'
import { keysNeeded } from './config/faultsTogether.ts'
import { type Config, ConfigError } from './config.ts'
import type { EventLog, EventLogLogger } from './eventlog/eventLog.ts'
import { watchWrites } from './eventlog/writeWatch.ts'
import { keyTrailOf } from './keyTrail.ts'
import { loadLogClient, openLog } from './openLog.ts'
import { hasCluster } from './postgres/embedded/clusterDirectory.ts'
import { SelfAudit } from './processes/selfAudit.ts'
import { createProjections } from './projections/projections.ts'
import type { ProjectionLogger } from './projections/readModel.ts'
import { listensOnLoopback } from './runtime/loopback.ts'
import { migrateDatabase, openDatabase } from './serviceDatabase.ts'
import { openSnapshots } from './snapshots/postgresSnapshots.ts'
import { version } from './version.ts'

/** A pino logger fits. */
export type ServiceLogger = AccessLogger & ApiLogger & CommandLogger & EventLogLogger & ProjectionLogger

export interface Service {
  /** `http://host:port`, as it listens. */
  readonly url: string
  /** Where the data is, for a person: a folder, or a server and its database without the password. */
  readonly storage: string
  /** Whether requests need a key. */
  readonly keysNeeded: boolean
  /** Rejects when the service cannot go on: its embedded database has ended, or its writes fail (FailedWritesError). */
  readonly failed: Promise<never>
  /** Says no more at `/readyz`, finishes what it has taken, and closes everything, in that order. Can be repeated. */
  stop(): Promise<void>
}

export interface ServiceOptions {
  readonly config: Config
  readonly logger: ServiceLogger
  /** Told, in sentences, what takes time. */
  readonly progress?: (message: string) => void
}

/** Nothing could be written for as long as the configuration allows. What is under way can still be answered. */
export class FailedWritesError extends Error {
  override readonly name = 'FailedWritesError'
}

/**
 * Builds every module and serves. When a step fails, what was started before it is stopped again, in reverse order, and the
 * step's error is thrown.
 */
export async function startService({ config, logger, progress }: ServiceOptions): Promise<Service> {
  const closers: (() => Promise<void>)[] = []
  const draining = new AbortController()
  // Every wait and every bulk request listens: thousands are no leak.
  setMaxListeners(0, draining.signal)
  const anotherHistory = new AbortController()
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  // Whoever does not wait for it must not be ended by it.
  failed.catch(() => undefined)

  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= closeAll(closers, draining)
    return stopping
  }

  /** A database with another history is an operator's affair: no node may come back by itself to serve that. */
  const watched = (log: EventLog): EventLog =>
    config.failedWritesMsMax === null
      ? log
      : watchWrites(log, {
          failingMsMax: config.failedWritesMsMax,
          onFailing() {
            if (draining.signal.aborted || anotherHistory.signal.aborted) return
            fail(new FailedWritesError('Nothing could be written for as long as WAYBILL_FAILED_WRITES_S_MAX allows'))
          },
        })

  try {
    await loadLogClient(config)
    await requireAddress(config)
    const database = await openDatabase(config, {
      progress,
      closers,
      ended(error) {
        if (!draining.signal.aborted) fail(error)
      },
    })
    const { connectionString, ownerUrl } = database
    await refuseWithoutKeys(ownerUrl, config)
    const role = await migrateDatabase(database, logger)

    // It stays, and refuses: a supervisor would start it again, on the other history, and nobody would be asked.
    const onAnotherLog = () => anotherHistory.abort()
    const { log, place, ...admission } = await openLog(config, { connectionString, role, onAnotherLog, logger })
    closers.push(() => log.close())
    const trail = createAuditTrail({ log, now: () => new Date().toISOString() })
    const access = await openAccess({
      connectionString,
      role,
      ...admission,
      operatorKey: config.operatorKey,
      anonymousAllowed: config.anonymousAllowed,
      keysAgeMsMax: config.keysAgeMsMax,
      trail: keyTrailOf(trail),
      logger,
    })
    closers.push(() => access.close())
    const snapshots = openSnapshots({ connectionString, role, logId: log.logId, ...admission })
    closers.push(() => snapshots.close())
    const commands = createCommandService({
      log: watched(log),
      clock: Date.now,
      limits: config.commandLimits,
      operationLimits: config.operationLimits,
      snapshots,
      logger,
    })
    const projections = createProjections({
      connectionString,
      role,
      log,
      ...admission,
      confirmed: (operation) => commands.cached(operation)?.state ?? null,
      onCheckpoint: (position) => log.saw(position),
      logger,
    })
    closers.push(() => projections.close())
    const { readModel, projector, control, auditRows } = projections
    projector.start()
    projections.takeOrders()
    // Its session must not stand in the way of a node that serves that history.
    anotherHistory.signal.addEventListener('abort', () => void projector.stop(), { once: true })
    if (anotherHistory.signal.aborted) await projector.stop()

    const { auditIntervalMs } = config
    const selfAudit =
      auditIntervalMs === 0 ? null : new SelfAudit({ log, rows: auditRows, intervalMs: auditIntervalMs, logger })
    anotherHistory.signal.addEventListener('abort', () => void selfAudit?.stop(), { once: true })

    const app = await buildServer({
      access,
      trail,
      log,
      commands,
      readModel,
      projector,
      ...(selfAudit === null ? {} : { selfAudit }),
      control,
      draining: draining.signal,
      anotherHistory: anotherHistory.signal,
      limits: config.apiLimits,
      version,
      loopbackOnly: listensOnLoopback(config.host),
      logger,
      logRequests: config.logRequests,
    })
    closers.push(async () => {
      await letConnectionsLeave(app)
      // In this order: commands under way are answered before their connections close.
      await commands.drain()
      await closeServer(app)
    })
    const url = await app.listen({ host: config.host, port: config.port })
    if (selfAudit !== null) {
      selfAudit.start()
      closers.push(() => selfAudit.stop())
    }
    const storage = place === null ? database.storage : `${place}; read model: ${database.storage}`
    return { url, storage, keysNeeded: access.authenticate(undefined) === null, failed, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Throws ConfigError. */
async function refuseWithoutKeys(connectionString: string, config: Config): Promise<void> {
  if (config.anonymousAllowed || config.operatorKey !== null || (await holdsKeys(connectionString))) return
  throw new ConfigError(keysNeeded(config.host))
}

/**
 * A new database takes seconds to be made, and stays: whoever cannot listen is told before. An existing one is opened while
 * a service that is about to end may still hold the address.
 */
async function requireAddress({ host, port, databaseUrl, dataDir }: Config): Promise<void> {
  if (databaseUrl !== null || hasCluster(dataDir)) return
  const probe = createServer().listen({ host, port })
  // Throws what `listen` of the service would.
  await once(probe, 'listening')
  await new Promise((resolve) => probe.close(resolve))
}

async function closeAll(closers: (() => Promise<void>)[], draining: AbortController): Promise<void> {
  draining.abort()
  let firstError: unknown
  for (const close of closers.reverse()) {
    try {
      await close()
    } catch (error) {
      firstError ??= error
    }
  }
  if (firstError !== undefined) throw firstError
}
