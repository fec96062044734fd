import { isIP } from 'node:net'
import { z } from 'zod'
import { keysAgeMsMaxDefault } from '../access/access.ts'
import { defaultApiLimits } from '../api/limits.ts'
import { defaultCommandLimits } from '../commands/commandLimits.ts'
import { defaultLimits } from '../operation/limits.ts'
import { databaseUrlFaults, eventStoreScheme, eventStoreUrlFaults } from './storeUrls.ts'

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
        'Address to listen on. Without an access key the service starts on a loopback address only (docs/access.md).',
      range: 'an address or a name',
    }),
  WAYBILL_PORT: integer(8080, 0, 65_535, 'Port to listen on. 0 takes any free port.'),
  WAYBILL_ALLOW_UNAUTHENTICATED: flag(
    'Allows listening on other addresses without an access key. Until the first key is made, everybody may do everything.',
  ),
  WAYBILL_OPERATOR_KEY: z
    .string()
    .regex(/^[A-Za-z0-9._~+/-]{32,200}=*$/, 'must be 32 to 200 letters, digits and . _ ~ + / -')
    .optional()
    .meta({
      description:
        "An operator's access key that is not in the database, for the first start and for when all other keys are lost. " +
        '`openssl rand -hex 32` makes one. WAYBILL_OPERATOR_KEY_FILE may name a file that holds it instead.',
      range: '32 to 200 characters',
    }),
  WAYBILL_KEYS_AGE_S_MAX: integer(
    keysAgeMsMaxDefault / 1_000,
    5,
    86_400,
    'Longest time that access keys are taken as they were known last, while the database does not answer. Then requests are ' +
      'answered 503, but for those with WAYBILL_OPERATOR_KEY.',
  ),
  WAYBILL_DATA_DIR: z.string().default('.waybill').meta({
    description: 'Folder of the embedded PostgreSQL. It is not used when DATABASE_URL is set.',
    range: 'a folder',
  }),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, { error: 'must begin with postgres:// or postgresql://', abort: true })
    .superRefine(faultsOf(databaseUrlFaults))
    .optional()
    .meta({
      description:
        'A PostgreSQL database to use instead of the embedded one. Connect directly, not through a pooler, and as its owner, ' +
        'unless WAYBILL_MIGRATION_DATABASE_URL is set too (docs/operations.md). DATABASE_URL_FILE may name a file that holds ' +
        'the URL instead.',
      range: '`postgres://user:password@host:port/database`',
    }),
  WAYBILL_MIGRATION_DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, { error: 'must begin with postgres:// or postgresql://', abort: true })
    .superRefine(faultsOf(databaseUrlFaults))
    .optional()
    .meta({
      description:
        'The database of DATABASE_URL with the login of its owner, for bringing the schemas up to date at the start. ' +
        'DATABASE_URL can then be that of a login that owns nothing (docs/operations.md). ' +
        'WAYBILL_MIGRATION_DATABASE_URL_FILE may name a file that holds the URL instead.',
      range: '`postgres://owner:password@host:port/database`',
    }),
  EVENTSTORE_URL: z
    .string()
    .regex(eventStoreScheme, {
      error: 'must begin with esdb://, esdb+discover://, kurrentdb:// or kurrentdb+discover://',
      abort: true,
    })
    .superRefine(faultsOf(eventStoreUrlFaults))
    .optional()
    .meta({
      description:
        'An EventStoreDB cluster that keeps the log. The read model and the access keys stay in PostgreSQL ' +
        '(docs/eventstoredb.md). EVENTSTORE_URL_FILE may name a file that holds the URL instead.',
      range: '`esdb://user:password@host:port?tls=true`',
    }),
  WAYBILL_ALLOW_UNSAFE_DURABILITY: flag(
    'Starts the service although fsync, full_page_writes or synchronous_commit is off. Accepted reports may then be lost.',
  ),
  WAYBILL_LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info').meta({
    description: 'The least severe level of log lines to write.',
    range: '`fatal`, `error`, `warn`, `info`, `debug`, `silent`',
  }),
  WAYBILL_LOG_REQUESTS: flag('Writes a log line for each request. This halves the rate that the service can take.'),
  WAYBILL_SHUTDOWN_S_MAX: integer(
    25,
    1,
    600,
    'How long an orderly shutdown may take. After that, open requests are cut off.',
  ),
  WAYBILL_FAILED_WRITES_S_MAX: integer(
    0,
    0,
    86_400,
    'When every write has failed for this long, the node finishes open requests and exits with code 1, so that its ' +
      'supervisor restarts it. 0: the node stays.',
  ),
  WAYBILL_BODY_BYTES_MAX: integer(
    api.bodyBytesMax,
    kibibyte,
    900_000,
    'Largest JSON body, and largest line of a bulk request.',
  ),
  WAYBILL_ARRIVING_BYTES_MAX: integer(
    api.arrivingBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'Largest sum of all request bodies that are still arriving. Beyond it, requests are answered 503. Keys share it.',
  ),
  WAYBILL_ANSWERS_BYTES_MAX: integer(
    api.answersBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'Largest sum of all large answers that clients have not read yet. Beyond it, reads are answered 503. Keys share it.',
  ),
  WAYBILL_DATA_BYTES_MAX: integer(operation.dataBytesMax, kibibyte, 900_000, 'Largest data of an operation.'),
  WAYBILL_METADATA_BYTES_MAX: integer(
    operation.metadataBytesMax,
    256,
    256 * kibibyte,
    'Largest metadata of an operation.',
  ),
  WAYBILL_HELD_COUNT_MAX: integer(operation.heldCountMax, 0, 1_000, 'Most held reports of one operation.'),
  WAYBILL_HELD_BYTES_MAX: integer(
    operation.heldBytesMax,
    0,
    512 * kibibyte,
    'Largest sum of the held reports of one operation.',
  ),
  WAYBILL_JSON_DEPTH_MAX: integer(
    api.jsonDepthMax,
    4,
    100,
    'How deep objects and arrays of a JSON document may be nested.',
  ),
  WAYBILL_PAGE_SIZE_MAX: integer(api.pageSizeMax, 1, 1_000, 'Most entries of a page.'),
  WAYBILL_PAGE_BYTES_MAX: integer(
    api.pageBytesMax,
    64 * kibibyte,
    256 * mebibyte,
    'A page that reaches this size ends early.',
  ),
  WAYBILL_WAIT_S_MAX: integer(
    api.waitSMax,
    1,
    600,
    'Longest time that a request may wait for `minPosition` or `until`.',
  ),
  WAYBILL_HEADERS_MS_MAX: integer(
    api.headersArrivalMsMax,
    100,
    60_000,
    'How long the headers of a request may take to arrive.',
  ),
  WAYBILL_BODY_MS_MAX: integer(api.bodyArrivalMsMax, 100, 600_000, 'How long a JSON body may take to arrive.'),
  WAYBILL_BULK_IDLE_MS_MAX: integer(
    api.bulkIdleMsMax,
    100,
    600_000,
    'How long a client may send nothing of a bulk upload, or read nothing of an answer, before the request is ended.',
  ),
  WAYBILL_BULK_COMMANDS_MAX: integer(
    api.bulkCommandsMax,
    1,
    10_000,
    'Most commands of one bulk request that are processed at once.',
  ),
  WAYBILL_BULK_COMMANDS_TOTAL_MAX: integer(
    api.bulkCommandsTotalMax,
    1,
    100_000,
    'Most commands of all bulk requests that are processed at once. It must be below WAYBILL_QUEUED_COMMANDS_MAX. Keys share it.',
  ),
  WAYBILL_BULK_UNREAD_BYTES_MAX: integer(
    api.bulkUnreadBytesMax,
    64 * kibibyte,
    16 * 1024 * mebibyte,
    'Largest sum of the results of all bulk requests that clients have not read yet. Beyond it, no more lines are read.',
  ),
  WAYBILL_CONNECTIONS_MAX: integer(
    api.connectionsMax,
    1,
    1_000_000,
    'Most open connections. Each waiting request and each live stream holds one.',
  ),
  WAYBILL_READS_MAX: integer(
    api.readsMax,
    1,
    1_000_000,
    'Most reads of lists and counts at once. One more is answered 503. Keys share it.',
  ),
  WAYBILL_REQUESTS_PER_S_MAX: integer(
    api.requestsPerSMax,
    0,
    1_000_000,
    'Most requests and bulk lines of one access key per second on this node. One more request is answered 429, and an upload is held back. 0: no limit.',
  ),
  WAYBILL_STREAMS_MAX: integer(
    api.streamsMax,
    0,
    1_000_000,
    'Most live streams at once. One more is asked to come back later. Keys share it.',
  ),
  WAYBILL_STREAM_QUEUED_BYTES_MAX: integer(
    api.streamQueuedBytesMax,
    16 * kibibyte,
    256 * mebibyte,
    'Largest part of a live stream that its client may leave unread. With more it is cut off, and resumes when it reconnects.',
  ),
  WAYBILL_STREAM_HEARTBEAT_S: integer(
    api.streamHeartbeatS,
    1,
    3_600,
    'How often a live stream without messages sends a heartbeat, which also says how far it has come.',
  ),
  WAYBILL_STREAM_RETRY_MS: integer(
    api.streamRetryMs,
    1,
    600_000,
    'How long a client whose live stream has ended is asked to wait before it reconnects: this long, or at random up to three times as long.',
  ),
  WAYBILL_WAITS_MAX: integer(
    api.waitsMax,
    0,
    1_000_000,
    'Most requests that wait for an operation (`until`) at once. Keys share it.',
  ),
  WAYBILL_AUDIT_INTERVAL_MS: integer(
    5_000,
    0,
    86_400_000,
    'Mean time between two samples of the self-audit on this node (docs/self-audit.md). 0: no self-audit.',
  ),
  WAYBILL_QUEUED_COMMANDS_MAX: integer(
    commands.queuedCommandsMax,
    1,
    1_000_000,
    'Most commands that are accepted and not yet answered. One more is answered 503. Keys share it.',
  ),
  WAYBILL_QUEUED_BYTES_MAX: integer(
    commands.queuedBytesMax,
    mebibyte,
    16 * 1024 * mebibyte,
    'Largest sum of the commands that are accepted and not yet answered, approximately. Keys share it.',
  ),
  WAYBILL_COMMAND_WAIT_MS_MAX: integer(
    commands.waitMsMax,
    100,
    600_000,
    'How long a command may wait to be sent to the log before it is answered 503.',
  ),
  WAYBILL_BATCH_COMMANDS_MAX: integer(commands.batchCommandsMax, 1, 10_000, 'Most commands in one append to the log.'),
  WAYBILL_SNAPSHOT_EVERY: integer(
    commands.snapshotEvery,
    10,
    1_000_000_000,
    'After this many events of an operation its state is stored as a snapshot, so that loading it need not read the whole stream.',
  ),
  WAYBILL_CACHED_OPERATIONS_MAX: integer(
    commands.cachedOperationsMax,
    1,
    100_000_000,
    'Most operations kept in memory. Others are loaded from the log when a command arrives.',
  ),
  WAYBILL_CACHED_BYTES_MAX: integer(
    commands.cachedBytesMax,
    mebibyte,
    64 * 1024 * mebibyte,
    'Largest sum of the operations kept in memory, approximately.',
  ),
  WAYBILL_HEAP_GROWTH_PERCENT: integer(
    50,
    0,
    1_000,
    'How much the heap may grow over what was alive before garbage is collected. A smaller value costs more processor time, a larger one more memory. 0: V8 decides, up to 300.',
  ),
})
