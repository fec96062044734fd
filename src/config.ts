import { isIP } from 'node:net'
import { z } from 'zod'
import { type ApiLimits, defaultApiLimits } from './api/limits.ts'
import { type CommandLimits, defaultCommandLimits } from './commands/commandLimits.ts'
import { type Environment, takeKnown, unknownVariables } from './config/environment.ts'
import { faultsTogether, isLoopback, type SettingsTogether } from './config/faultsTogether.ts'
import { databaseUrlFaults, eventStoreUrlFaults } from './config/storeUrls.ts'
import { defaultLimits, type OperationLimits } from './operation/limits.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

function integer(byDefault: number, min: number, max: number, description: string) {
  return z
    .string()
    .regex(/^\d{1,15}$/, 'must be an integer')
    .transform(Number)
    .pipe(z.int().min(min, `must be ${min} to ${max}`).max(max, `must be ${min} to ${max}`))
    .default(byDefault)
    .meta({ description, range: `${min} to ${max}` })
}

function flag(description: string) {
  return z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .default(false)
    .meta({ description, range: '`true` or `false`' })
}

function faultsOf(look: (text: string) => readonly string[]) {
  return (text: string, context: z.core.$RefinementCtx<string>) => {
    for (const message of look(text)) context.addIssue({ code: 'custom', message })
  }
}

const { api, commands, operation } = { api: defaultApiLimits, commands: defaultCommandLimits, operation: defaultLimits }

/** One entry for each variable. A test compares docs/configuration.md with it, and writes it anew with `-u`. */
export const environmentSchema = z.object({
  WAYBILL_HOST: z
    .string()
    .refine((host) => isIP(host) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(host), 'must be an address or a host name')
    .default('127.0.0.1')
    .meta({
      description:
        'Address to listen on. Another than a loopback one is refused as long as there is no access key (docs/access.md).',
      range: 'an address or a name',
    }),
  WAYBILL_PORT: integer(8080, 0, 65_535, 'Port to listen on; 0: any free one.'),
  WAYBILL_ALLOW_UNAUTHENTICATED: flag(
    'Listen beyond this machine although there is no access key: until there is one, everybody may do everything.',
  ),
  WAYBILL_OPERATOR_KEY: z
    .string()
    .regex(/^[A-Za-z0-9._~+/-]{32,200}=*$/, 'must be 32 to 200 letters, digits and . _ ~ + / -')
    .optional()
    .meta({
      description:
        "An operator's access key that needs no database, for the start and for when all others are lost: " +
        '`openssl rand -hex 32` makes one. Or the name of a file that holds it, in WAYBILL_OPERATOR_KEY_FILE.',
      range: '32 to 200 characters',
    }),
  WAYBILL_DATA_DIR: z.string().default('.waybill').meta({
    description: 'Folder of the embedded PostgreSQL. Neither used nor locked with DATABASE_URL.',
    range: 'a folder',
  }),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, { error: 'must begin with postgres:// or postgresql://', abort: true })
    .superRefine(faultsOf(databaseUrlFaults))
    .optional()
    .meta({
      description:
        'A PostgreSQL database to use in place of the embedded one: as its owner, on a direct connection. Or the name ' +
        'of a file that holds it, in DATABASE_URL_FILE.',
      range: '`postgres://user:password@host:port/database`',
    }),
  EVENTSTORE_URL: z
    .string()
    .regex(/^esdb(\+discover)?:\/\//, { error: 'must begin with esdb:// or esdb+discover://', abort: true })
    .superRefine(faultsOf(eventStoreUrlFaults))
    .optional()
    .meta({
      description:
        'An EventStoreDB cluster that keeps the log; the read model and the access keys stay in PostgreSQL ' +
        '(docs/eventstoredb.md). Or the name of a file that holds it, in EVENTSTORE_URL_FILE.',
      range: '`esdb://user:password@host:port?tls=true`',
    }),
  WAYBILL_ALLOW_UNSAFE_DURABILITY: flag(
    'Serve although fsync, full_page_writes or synchronous_commit is off: what was accepted may be lost.',
  ),
  WAYBILL_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info').meta({
    description: 'Least severe log line to write.',
    range: '`fatal`, `error`, `warn`, `info`, `debug`, `silent`',
  }),
  WAYBILL_LOG_REQUESTS: flag('A log line for each request. Halves what the service can take.'),
  WAYBILL_SHUTDOWN_S_MAX: integer(25, 1, 600, 'Longest orderly shutdown; then what is left is cut off.'),
  WAYBILL_FAILED_WRITES_S_MAX: integer(
    0,
    0,
    86_400,
    'When writes have failed for so long, and none has succeeded, the node finishes what it has and exits with code 1, ' +
      'to be started anew by its supervisor. 0: never.',
  ),
  WAYBILL_BODY_BYTES_MAX: integer(api.bodyBytesMax, kibibyte, 900_000, 'A JSON body, and each line of a bulk request.'),
  WAYBILL_ARRIVING_BYTES_MAX: integer(
    api.arrivingBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'Bodies still arriving, together; beyond it 503.',
  ),
  WAYBILL_ANSWERS_BYTES_MAX: integer(
    api.answersBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'Large answers that their readers have not taken yet, together; beyond it reads are answered 503.',
  ),
  WAYBILL_DATA_BYTES_MAX: integer(operation.dataBytesMax, kibibyte, 900_000, "An operation's data."),
  WAYBILL_METADATA_BYTES_MAX: integer(operation.metadataBytesMax, 256, 256 * kibibyte, "An operation's metadata."),
  WAYBILL_HELD_COUNT_MAX: integer(operation.heldCountMax, 0, 1_000, 'Held reports of one operation.'),
  WAYBILL_HELD_BYTES_MAX: integer(operation.heldBytesMax, 0, 512 * kibibyte, 'The same, together.'),
  WAYBILL_JSON_DEPTH_MAX: integer(api.jsonDepthMax, 4, 100, 'How deep JSON may be nested.'),
  WAYBILL_PAGE_SIZE_MAX: integer(api.pageSizeMax, 1, 1_000, 'Entries of a page.'),
  WAYBILL_PAGE_BYTES_MAX: integer(api.pageBytesMax, 64 * kibibyte, 256 * mebibyte, 'A page ends early at this size.'),
  WAYBILL_WAIT_S_MAX: integer(api.waitSMax, 1, 600, 'Longest wait for `minPosition` or `until`.'),
  WAYBILL_HEADERS_MS_MAX: integer(api.headersArrivalMsMax, 100, 60_000, 'How long headers may take to arrive.'),
  WAYBILL_BODY_MS_MAX: integer(api.bodyArrivalMsMax, 100, 600_000, 'How long a JSON body may take to arrive.'),
  WAYBILL_BULK_IDLE_MS_MAX: integer(
    api.bulkIdleMsMax,
    100,
    600_000,
    'How long a bulk upload may stand still, and an answer be left unread.',
  ),
  WAYBILL_BULK_COMMANDS_MAX: integer(api.bulkCommandsMax, 1, 10_000, 'Commands of one bulk request in hand at once.'),
  WAYBILL_BULK_COMMANDS_TOTAL_MAX: integer(
    api.bulkCommandsTotalMax,
    1,
    100_000,
    'The same of all bulk requests. Keep it below WAYBILL_QUEUED_COMMANDS_MAX.',
  ),
  WAYBILL_BULK_UNREAD_BYTES_MAX: integer(
    api.bulkUnreadBytesMax,
    64 * kibibyte,
    16 * 1024 * mebibyte,
    'Results of all bulk requests that their clients have not read yet; beyond it no further lines are read.',
  ),
  WAYBILL_CONNECTIONS_MAX: integer(
    api.connectionsMax,
    1,
    1_000_000,
    'Open connections; each wait and each live stream holds one.',
  ),
  WAYBILL_READS_MAX: integer(
    api.readsMax,
    1,
    1_000_000,
    'Reads of lists and counts in hand at once; one more is answered 503.',
  ),
  WAYBILL_REQUESTS_PER_S_MAX: integer(
    api.requestsPerSMax,
    0,
    1_000_000,
    'Requests of one access key in one second, on this node; one more is answered 429. 0: any number.',
  ),
  WAYBILL_STREAMS_MAX: integer(api.streamsMax, 0, 1_000_000, 'Live streams at once; one more is told to come back.'),
  WAYBILL_STREAM_QUEUED_BYTES_MAX: integer(
    api.streamQueuedBytesMax,
    16 * kibibyte,
    256 * mebibyte,
    "What a live stream's reader may leave standing; with more it is cut off, to come back and resume.",
  ),
  WAYBILL_STREAM_HEARTBEAT_S: integer(
    api.streamHeartbeatS,
    1,
    3_600,
    'A live stream says at least so often that it is there, and how far it has come.',
  ),
  WAYBILL_STREAM_RETRY_MS: integer(
    api.streamRetryMs,
    1,
    600_000,
    'A reader whose live stream has ended is asked to come back after so long, or up to three times as long, by chance.',
  ),
  WAYBILL_WAITS_MAX: integer(api.waitsMax, 0, 1_000_000, 'Requests that wait for an operation (`until`) at once.'),
  WAYBILL_AUDIT_INTERVAL_MS: integer(
    5_000,
    0,
    86_400_000,
    'Mean time between two samples of the self-audit (docs/self-audit.md), on this node. 0: none are taken.',
  ),
  WAYBILL_QUEUED_COMMANDS_MAX: integer(
    commands.queuedCommandsMax,
    1,
    1_000_000,
    'Commands taken and not yet answered; one more is answered 503.',
  ),
  WAYBILL_QUEUED_BYTES_MAX: integer(
    commands.queuedBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'The same, in bytes, about.',
  ),
  WAYBILL_COMMAND_WAIT_MS_MAX: integer(
    commands.waitMsMax,
    100,
    600_000,
    'A command that could not be sent to the log for so long is answered 503.',
  ),
  WAYBILL_BATCH_COMMANDS_MAX: integer(commands.batchCommandsMax, 1, 10_000, 'Commands of one append.'),
  WAYBILL_SNAPSHOT_EVERY: integer(
    commands.snapshotEvery,
    10,
    1_000_000_000,
    'After so many events of one operation a snapshot of it is kept, from which it is read on when it is not in memory.',
  ),
  WAYBILL_CACHED_OPERATIONS_MAX: integer(
    commands.cachedOperationsMax,
    1,
    100_000_000,
    'Operations kept in memory; others are read from the log when a command comes.',
  ),
  WAYBILL_CACHED_BYTES_MAX: integer(
    commands.cachedBytesMax,
    mebibyte,
    64 * 1024 * mebibyte,
    'The same, in bytes, about.',
  ),
  WAYBILL_HEAP_GROWTH_PERCENT: integer(
    50,
    0,
    1_000,
    'Garbage is collected once the heap has grown by so much of what was alive before: less takes more time, more takes more memory. 0: as V8 likes, up to 300.',
  ),
})

export interface Config {
  readonly host: string
  readonly port: number
  /** Whether requests without a key are let in while there has never been one: on this machine only, or when told so. */
  readonly anonymousAllowed: boolean
  /** Never log it. */
  readonly operatorKey: string | null
  /** Null: the embedded PostgreSQL in `dataDir`. Holds a password: never log it. */
  readonly databaseUrl: string | null
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
    anonymousAllowed: isLoopback(values.WAYBILL_HOST) || values.WAYBILL_ALLOW_UNAUTHENTICATED,
    operatorKey: values.WAYBILL_OPERATOR_KEY ?? null,
    databaseUrl: values.DATABASE_URL ?? null,
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
