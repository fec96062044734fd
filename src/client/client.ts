import { type Answer, exchange } from './answers.ts'
import { bulkCarrier, singleCarrier } from './carriers.ts'
import { type CommandLine, openLine, reportLine } from './commandLine.ts'
import { createCommandQueue } from './commandQueue.ts'
import type {
  DefinedPipeline,
  OpenOperation,
  Operation,
  OperationFilter,
  OperationListFilter,
  Pipeline,
  PipelineDefinition,
  Receipt,
  RecordedEvent,
  Report,
  SortOrder,
  Stats,
} from './contract.ts'
import {
  documentOf,
  isDefinedPipeline,
  isEvent,
  isLeft,
  isOperation,
  isOperationOrNull,
  isPipeline,
  isStats,
} from './documents.ts'
import { WaybillClosed } from './errors.ts'
import { jsonText } from './jsonText.ts'
import { liveStream } from './liveStream.ts'
import { type ClientOptions, settingsOf } from './options.ts'
import { filterQuery, isEventPage, isOperationPage, isPipelinePage, queryOf, throughPages } from './pages.ts'
import { retrying } from './retry.ts'
import { createTransport } from './transport.ts'

// The package's one entry (`waybill/client`): what its callers name comes from here.
export type * from './contract.ts'
// biome-ignore lint/performance/noBarrelFile: a package has one entry
export {
  WaybillClosed,
  WaybillError,
  WaybillNotTried,
  WaybillProblem,
  WaybillQueueFull,
  WaybillUnanswered,
} from './errors.ts'
export type { BatchingOptions, ClientOptions } from './options.ts'

export interface CallOptions {
  /** Aborting rejects with the signal's reason. A command that was sent by then may land. */
  signal?: AbortSignal
  /** Milliseconds for the call as a whole, retries included. Default: the client's. */
  timeoutMs?: number
}

export interface CommandOptions extends CallOptions {
  /** Idempotency key, 1 to 255 visible ASCII characters. Default: a UUID. Every retry carries the same. */
  key?: string
  /** Refused with `revision_mismatch` when the operation is at another revision. */
  expectedRevision?: number
}

export interface ReadOptions extends CallOptions {
  /** Waits until the read model has this position. */
  minPosition?: string
  /** Seconds the service may wait for `minPosition`. Default 5. */
  waitS?: number
  /** `strong`: all that the log had when the call came. */
  consistency?: 'strong'
}

export interface WaitOptions extends ReadOptions {
  /**
   * Waits, `waitS` at most, until the operation is at another revision than `since` (without it: has changed since the
   * call came), or is no longer active. Resolves with the operation as it then stands, also when the time is up. With
   * `waitS` one that is not there yet is waited for, too; `not_found` when the time is up.
   */
  until?: 'changed' | 'done'
  /** The revision seen last. */
  since?: number
}

export interface PageOptions extends CallOptions {
  /** Items fetched at once, 1 to 1,000. */
  pageSize?: number
}

export interface StreamOptions {
  /** A position: what came after it. `head`: what comes from now on. Default: from the beginning of the log. */
  after?: string
  signal?: AbortSignal
}

/** `left`: the operation does not match the filter, or no more. `position` is opaque: pass it on as `after`. */
export type OperationChange =
  | { readonly kind: 'operation'; readonly operation: Operation; readonly position: string }
  | { readonly kind: 'left'; readonly id: string; readonly revision: number; readonly position: string }

/**
 * A client of one Waybill service. Failures are WaybillErrors (errors.ts); a call whose signal is aborted rejects with
 * the signal's reason. What may pass (a lost connection, 429, 503) is tried again with the same key, after a random
 * wait that grows, within the attempts and the time allowed; a refusal never is.
 */
export interface WaybillClient {
  /**
   * Opens an operation. Resolves once the log has it on disk. In order with the reports of the same id: commands of one
   * operation arrive as they were given, also when they were not awaited.
   */
  open(operation: OpenOperation, options?: CommandOptions): Promise<Receipt>
  /**
   * Reports a status. Resolves once the log has it on disk, exactly once, however often it had to be sent. Rejects with
   * WaybillQueueFull, unsent, when as many commands wait as the client holds; await `ready()` to keep below.
   */
  report(operation: string, report: Report, options?: CommandOptions): Promise<Receipt>
  /** In force on every node once resolved. */
  definePipeline(name: string, definition: PipelineDefinition, options?: CommandOptions): Promise<DefinedPipeline>
  /** The newest version of a pipeline, or the one asked for. */
  pipeline(name: string, options?: CallOptions & { version?: number }): Promise<Pipeline>
  /** The newest version of each, by name. */
  pipelines(options?: PageOptions): AsyncIterable<Pipeline>
  get(operation: string, options?: WaitOptions): Promise<Operation>
  /** Fetched page by page as it is read. Changes meanwhile may move an operation to a page already read. */
  list(
    filter?: OperationListFilter,
    options?: ReadOptions & PageOptions & { sort?: SortOrder },
  ): AsyncIterable<Operation>
  /** One operation's events, from the log, to its end as it is when it is reached. */
  operationEvents(
    operation: string,
    options?: PageOptions & { fromRevision?: number; direction?: 'forwards' | 'backwards' },
  ): AsyncIterable<RecordedEvent>
  /** The whole log in its order, after a position, to its end as it is when it is reached. */
  events(options?: PageOptions & { after?: string }): AsyncIterable<RecordedEvent>
  stats(options?: ReadOptions): Promise<Stats>
  /**
   * Events as they are appended, after a position: each once and in order, across lost connections and restarts, for
   * as long as it is read. Resumes after the last event read; one that is being worked on when its reader dies is the
   * reader's to ask for again. `operation` and `pipeline` narrow it.
   */
  streamEvents(options?: StreamOptions & { operation?: string; pipeline?: string }): AsyncIterable<RecordedEvent>
  /**
   * Operations that match a filter, each time the read model has a newer form of them. Who stops reading resumes with
   * the `position` of the last change as `after`.
   */
  streamOperations(filter?: OperationFilter, options?: StreamOptions): AsyncIterable<OperationChange>
  /** Resolves when less than half of the commands that the client holds are waiting. */
  ready(signal?: AbortSignal): Promise<void>
  /** Commands without an answer. */
  readonly pending: number
  /** Takes no more commands, ends live streams, and resolves once each command taken has its answer or its error. */
  close(): Promise<void>
}

export function createWaybillClient(options: ClientOptions): WaybillClient {
  const settings = settingsOf(options)
  const { timing, limits } = settings
  const transport = createTransport(settings)
  const { attemptTimeoutMs } = timing
  const carry = (limits.linesMax === 1 ? singleCarrier : bulkCarrier)(transport, attemptTimeoutMs)
  const queue = createCommandQueue(carry, limits, timing)
  const closing = new AbortController()

  function submit(line: CommandLine, { signal, timeoutMs }: CommandOptions): Promise<Receipt> {
    return queue.submit(line, { signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  }

  function read<T>(
    path: string,
    query: URLSearchParams,
    isBody: (value: unknown) => value is T,
    { signal, timeoutMs, waitS }: ReadOptions = {},
    knownRevision?: number,
  ): Promise<Answer<T>> {
    const text = query.toString()
    const patience = attemptTimeoutMs + (waitS ?? 5) * 1_000
    return retrying(timing, { signal, timeoutMs }, (leftMs) =>
      exchange(
        transport,
        {
          method: 'GET',
          path: text === '' ? path : `${path}?${text}`,
          headers: {
            accept: 'application/json',
            ...(waitS === undefined ? {} : { prefer: `wait=${waitS}` }),
            ...(knownRevision === undefined ? {} : { 'if-none-match': `"${knownRevision}"` }),
          },
          timeoutMs: Math.min(patience, leftMs),
          signal,
        },
        isBody,
      ),
    )
  }

  function live(path: string, query: URLSearchParams, { after, signal }: StreamOptions) {
    const { silenceMsMax } = settings
    const either = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
    if (after !== undefined) query.set('after', after)
    return liveStream(transport, timing, { path, query, signal: either, silenceMsMax })
  }

  return {
    open: async (operation, options = {}) =>
      submit(openLine(operation, keyOf(options), options.expectedRevision), options),
    report: async (operation, report, options = {}) =>
      submit(reportLine(operation, report, keyOf(options), options.expectedRevision), options),

    async definePipeline(name, definition, options = {}) {
      const { signal, timeoutMs, expectedRevision } = options
      const command = keyOf(options)
      if (closing.signal.aborted) throw new WaybillClosed('the client is closed', { command, ...unsent })
      const body = jsonText(definition)
      const answer = await retrying(timing, { signal, timeoutMs, command }, (leftMs) =>
        exchange(
          transport,
          {
            method: 'PUT',
            path: `/v1/pipelines/${encodeURIComponent(name)}`,
            headers: {
              'content-type': 'application/json',
              'idempotency-key': command,
              ...(expectedRevision === undefined ? {} : { 'if-match': `"${expectedRevision}"` }),
            },
            body,
            timeoutMs: Math.min(attemptTimeoutMs, leftMs),
            signal,
          },
          isDefinedPipeline,
        ),
      )
      return answer.body
    },

    async pipeline(name, { version, ...options } = {}) {
      const path = `/v1/pipelines/${encodeURIComponent(name)}${version === undefined ? '' : `/versions/${version}`}`
      return (await read(path, queryOf({}), isPipeline, options)).body
    },

    pipelines: ({ pageSize, ...options } = {}) =>
      throughPages(
        (pageToken) =>
          read('/v1/pipelines', queryOf({ pageSize, pageToken: pageToken ?? undefined }), isPipelinePage, options),
        ({ pipelines, nextPageToken }) => ({ items: pipelines, next: nextPageToken === '' ? null : nextPageToken }),
      ),

    async get(operation, { until, since, ...options } = {}) {
      const { minPosition, consistency } = options
      const path = `/v1/operations/${encodeURIComponent(operation)}`
      const query = queryOf({ minPosition, consistency, until })
      const { body } = await read(path, query, isOperationOrNull, options, until === 'changed' ? since : undefined)
      if (body !== null) return body
      return (await read(path, queryOf({ minPosition, consistency }), isOperation, options)).body
    },

    list: (filter = {}, { sort, pageSize, minPosition, consistency, ...options } = {}) =>
      throughPages(
        (pageToken) => {
          const query = filterQuery(filter)
          const first = pageToken === null ? { minPosition, consistency } : { pageToken }
          for (const [name, value] of queryOf({ sort, pageSize, ...first })) query.set(name, value)
          return read('/v1/operations', query, isOperationPage, options)
        },
        ({ operations, nextPageToken }) => ({ items: operations, next: nextPageToken === '' ? null : nextPageToken }),
      ),

    operationEvents: (operation, { fromRevision, direction, pageSize, ...options } = {}) =>
      throughPages(
        (next) => {
          const query = queryOf({ fromRevision: next ?? fromRevision, direction, pageSize })
          return read(`/v1/operations/${encodeURIComponent(operation)}/events`, query, isEventPage, options)
        },
        ({ events, next }) => ({ items: events, next: events.length === 0 || !next ? null : next }),
      ),

    events: ({ after, pageSize, ...options } = {}) =>
      throughPages(
        (next) => read('/v1/events', queryOf({ after: next ?? after, pageSize }), isEventPage, options),
        ({ events, next }) => ({ items: events, next: events.length === 0 || !next ? null : next }),
      ),

    async stats(options = {}) {
      const { minPosition, consistency } = options
      return (await read('/v1/stats', queryOf({ minPosition, consistency }), isStats, options)).body
    },

    async *streamEvents({ operation, pipeline, ...options } = {}) {
      for await (const { event, data } of live('/v1/events/stream', queryOf({ operation, pipeline }), options)) {
        if (event === 'event') yield documentOf(data, isEvent)
      }
    },

    async *streamOperations(filter = {}, options = {}) {
      for await (const { event, data, id } of live('/v1/operations/stream', filterQuery(filter), options)) {
        if (event === 'operation') yield { kind: event, operation: documentOf(data, isOperation), position: id }
        else if (event === 'left') yield { kind: event, ...documentOf(data, isLeft), position: id }
      }
    },

    ready: (signal) => queue.ready(signal),
    get pending() {
      return queue.pending
    },
    async close() {
      closing.abort(new WaybillClosed('the client is closed', unsent))
      await queue.close()
      transport.close()
    },
  }
}

const unsent = { attempts: 0, mayHaveLanded: false } as const

function keyOf({ key }: CommandOptions): string {
  return key ?? crypto.randomUUID()
}
