import type { z } from 'zod'
import { type ApiLimits, defaultApiLimits } from './api/limits.ts'
import { type CommandLimits, defaultCommandLimits } from './commands/commandLimits.ts'
import { type Environment, takeKnown, unknownVariables } from './config/environment.ts'
import { environmentSchema } from './config/environmentSchema.ts'
import { faultsTogether, type SettingsTogether } from './config/faultsTogether.ts'
import { defaultLimits, type OperationLimits } from './operation/limits.ts'
import { listensOnLoopback } from './runtime/loopback.ts'

export interface Config {
  readonly host: string
  readonly port: number
  /** Whether requests without a key are let in while there has never been one: on this machine only, or when told so. */
  readonly anonymousAllowed: boolean
  /** Never log it. */
  readonly operatorKey: string | null
  readonly keysAgeMsMax: number
  /** Null: the embedded PostgreSQL in `dataDir`. Holds a password: never log it. */
  readonly databaseUrl: string | null
  /** Null: the schemas are brought up to date with `databaseUrl`. Holds a password: never log it. */
  readonly migrationDatabaseUrl: string | null
  /** Null: the log is in PostgreSQL. Holds a password: never log it. */
  readonly eventStoreUrl: string | null
  readonly dataDir: string
  readonly allowUnsafeDurability: boolean
  readonly logLevel: string
  readonly logRequests: boolean
  readonly shutdownMsMax: number
  /** Null: a node stays, however long its writes fail. */
  readonly failedWritesMsMax: number | null
  /** 0: no self-audit. */
  readonly auditIntervalMs: number
  readonly heapGrowthPercent: number
  readonly apiLimits: ApiLimits
  readonly commandLimits: CommandLimits
  readonly operationLimits: OperationLimits
  /** Sentences about what looks wrong and does not stop the service. */
  readonly warnings: readonly string[]
}

/** The environment is not as it must be; the message lists everything that is wrong with it, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const settingNames = Object.keys(environmentSchema.shape)

/**
 * Reads the whole configuration. A variable that is empty counts as not set. `toServe`: also looks at what can be known of a
 * service with it before anything is made for it. Throws ConfigError, with everything that is wrong.
 */
export function readConfig(environment: Environment, { toServe = false } = {}): Config {
  const errors: string[] = []
  const given = takeKnown(environment, settingNames, errors)
  const parsed = environmentSchema.safeParse(given)
  for (const { path, message } of parsed.error?.issues ?? []) errors.push(`${path.join('.')}: ${message}`)
  errors.push(...faultsTogether(settingsTogether(given), toServe))
  if (!parsed.success || errors.length > 0) throw configError(errors)
  return toConfig(parsed.data, unknownVariables(environment, settingNames))
}

/** Settings that are wrong by themselves are named already: they count as not known. */
function settingsTogether(given: Readonly<Record<string, string>>): SettingsTogether {
  const { shape } = environmentSchema
  return {
    bulkCommandsTotalMax: shape.WAYBILL_BULK_COMMANDS_TOTAL_MAX.safeParse(given.WAYBILL_BULK_COMMANDS_TOTAL_MAX).data,
    queuedCommandsMax: shape.WAYBILL_QUEUED_COMMANDS_MAX.safeParse(given.WAYBILL_QUEUED_COMMANDS_MAX).data,
    host: shape.WAYBILL_HOST.safeParse(given.WAYBILL_HOST).data,
    allowUnauthenticated: given.WAYBILL_ALLOW_UNAUTHENTICATED === 'true',
    hasOperatorKey: given.WAYBILL_OPERATOR_KEY !== undefined,
    hasMigrationDatabaseUrl: given.WAYBILL_MIGRATION_DATABASE_URL !== undefined,
    dataDir: given.DATABASE_URL === undefined ? shape.WAYBILL_DATA_DIR.parse(given.WAYBILL_DATA_DIR) : null,
  }
}

function configError(errors: readonly string[]): ConfigError {
  return new ConfigError(`The configuration is not valid:\n${errors.map((error) => `  ${error}`).join('\n')}`)
}

function toConfig(values: z.output<typeof environmentSchema>, warnings: readonly string[]): Config {
  return {
    host: values.WAYBILL_HOST,
    port: values.WAYBILL_PORT,
    anonymousAllowed: listensOnLoopback(values.WAYBILL_HOST) || values.WAYBILL_ALLOW_UNAUTHENTICATED,
    operatorKey: values.WAYBILL_OPERATOR_KEY ?? null,
    keysAgeMsMax: values.WAYBILL_KEYS_AGE_S_MAX * 1_000,
    databaseUrl: values.DATABASE_URL ?? null,
    migrationDatabaseUrl: values.WAYBILL_MIGRATION_DATABASE_URL ?? null,
    eventStoreUrl: values.EVENTSTORE_URL ?? null,
    dataDir: values.WAYBILL_DATA_DIR,
    allowUnsafeDurability: values.WAYBILL_ALLOW_UNSAFE_DURABILITY,
    logLevel: values.WAYBILL_LOG_LEVEL,
    logRequests: values.WAYBILL_LOG_REQUESTS,
    auditIntervalMs: values.WAYBILL_AUDIT_INTERVAL_MS,
    heapGrowthPercent: values.WAYBILL_HEAP_GROWTH_PERCENT,
    shutdownMsMax: values.WAYBILL_SHUTDOWN_S_MAX * 1_000,
    failedWritesMsMax: values.WAYBILL_FAILED_WRITES_S_MAX === 0 ? null : values.WAYBILL_FAILED_WRITES_S_MAX * 1_000,
    apiLimits: {
      bodyBytesMax: values.WAYBILL_BODY_BYTES_MAX,
      arrivingBytesMax: values.WAYBILL_ARRIVING_BYTES_MAX,
      answersBytesMax: values.WAYBILL_ANSWERS_BYTES_MAX,
      bodyArrivalMsMax: values.WAYBILL_BODY_MS_MAX,
      headersArrivalMsMax: values.WAYBILL_HEADERS_MS_MAX,
      bulkIdleMsMax: values.WAYBILL_BULK_IDLE_MS_MAX,
      bulkCommandsMax: values.WAYBILL_BULK_COMMANDS_MAX,
      bulkCommandsTotalMax: values.WAYBILL_BULK_COMMANDS_TOTAL_MAX,
      bulkBytesMax: defaultApiLimits.bulkBytesMax,
      bulkUnreadBytesMax: values.WAYBILL_BULK_UNREAD_BYTES_MAX,
      requestLineMsMax: defaultApiLimits.requestLineMsMax,
      jsonDepthMax: values.WAYBILL_JSON_DEPTH_MAX,
      pageSizeMax: values.WAYBILL_PAGE_SIZE_MAX,
      pageBytesMax: values.WAYBILL_PAGE_BYTES_MAX,
      pipelinesMax: defaultApiLimits.pipelinesMax,
      waitSDefault: Math.min(defaultApiLimits.waitSDefault, values.WAYBILL_WAIT_S_MAX),
      waitSMax: values.WAYBILL_WAIT_S_MAX,
      connectionsMax: values.WAYBILL_CONNECTIONS_MAX,
      readsMax: values.WAYBILL_READS_MAX,
      requestsPerSMax: values.WAYBILL_REQUESTS_PER_S_MAX,
      streamsMax: values.WAYBILL_STREAMS_MAX,
      streamQueuedBytesMax: values.WAYBILL_STREAM_QUEUED_BYTES_MAX,
      streamHeartbeatS: values.WAYBILL_STREAM_HEARTBEAT_S,
      streamRetryMs: values.WAYBILL_STREAM_RETRY_MS,
      waitsMax: values.WAYBILL_WAITS_MAX,
    },
    commandLimits: {
      ...defaultCommandLimits,
      queuedCommandsMax: values.WAYBILL_QUEUED_COMMANDS_MAX,
      queuedBytesMax: values.WAYBILL_QUEUED_BYTES_MAX,
      waitMsMax: values.WAYBILL_COMMAND_WAIT_MS_MAX,
      batchCommandsMax: values.WAYBILL_BATCH_COMMANDS_MAX,
      snapshotEvery: values.WAYBILL_SNAPSHOT_EVERY,
      cachedOperationsMax: values.WAYBILL_CACHED_OPERATIONS_MAX,
      cachedBytesMax: values.WAYBILL_CACHED_BYTES_MAX,
    },
    operationLimits: {
      ...defaultLimits,
      dataBytesMax: values.WAYBILL_DATA_BYTES_MAX,
      metadataBytesMax: values.WAYBILL_METADATA_BYTES_MAX,
      heldCountMax: values.WAYBILL_HELD_COUNT_MAX,
      heldBytesMax: values.WAYBILL_HELD_BYTES_MAX,
    },
    warnings,
  }
}
