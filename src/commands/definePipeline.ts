import type { EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { eventAt } from '../eventlog/readStream.ts'
import { type Decided, transact } from '../eventlog/transact.ts'
import type { Refusal } from '../operation/decision.ts'
import { normaliseDefinition, sameDefinition } from '../operation/definition.ts'
import type { DefinitionError } from '../operation/definitionParse.ts'
import { decode, sealNext } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { isJsonObject } from '../operation/json.ts'
import { anyPipeline, type PipelineDefinition } from '../operation/pipeline.ts'
import { definitionRequestHash } from '../operation/requestHash.ts'
import { pipelineStream } from '../operation/streamName.ts'
import { createKeyedMutex } from '../runtime/keyedMutex.ts'
import type { Admission } from './admission.ts'
import type { AppendBatcher } from './appendBatcher.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, DefinePipeline, DefinePipelineResult, PipelineRecord } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import { passCheck, RefusedByCheck } from './refusedByCheck.ts'
import { failureOf, unreadable } from './unreadable.ts'

export interface PipelineDefiner {
  define(command: DefinePipeline): Promise<DefinePipelineResult>
}

export interface PipelineDefinerOptions {
  readonly log: EventLog
  /** RFC 3339 UTC. */
  readonly now: () => string
  readonly catalog: PipelineCatalog
  readonly batcher: AppendBatcher
  readonly admission: Admission
  readonly limits: CommandLimits
  readonly keyReuse: KeyReuse
  readonly reportUnreadable: (stream: string, error: unknown) => void
}

interface SentDefinition {
  readonly definition: PipelineDefinition
  /** What the rules of today find wrong with it: it is still `unchanged` where it was accepted before they came. */
  readonly errors: readonly DefinitionError[]
}

/**
 * Definitions are rare, so each asks the log anew, those of one pipeline one after the other. Their appends travel with the
 * commands' batches.
 */
export function createPipelineDefiner(options: PipelineDefinerOptions): PipelineDefiner {
  const { log, catalog, batcher, admission, limits } = options
  const pipelines = createKeyedMutex()

  const failed = (command: DefinePipeline, code: CommandFailure['code']): DefinePipelineResult => ({
    kind: 'failed',
    failure: { code, retryAfterS: limits.retryAfterS },
    key: command.key,
  })

  async function decide(
    command: DefinePipeline,
    { definition, errors }: SentDefinition,
  ): Promise<Decided<DefinePipelineResult>> {
    const { name, key, actor, traceparent } = command
    const stream = pipelineStream(name)
    // A definition that was found valid is an object; null only serves the type.
    const sent = isJsonObject(command.definition) ? command.definition : null
    const requestHash = definitionRequestHash(name, command.expectedRevision, sent)
    // In this order: what comes after it changes the revision, and EventStoreDB would append an id once more.
    const newest = await catalog.newest(name)
    const first = await log.readEvent(stream, eventId(stream, key, 0))
    if (first !== null) return nothing(again(command, first, requestHash))
    if (command.expectedRevision !== undefined && command.expectedRevision !== newest?.revision) {
      return nothing({ kind: 'refused', refusal: atAnotherRevision(newest), key })
    }
    if (newest !== null && sameDefinition(newest.pipeline.definition, definition)) {
      return nothing({ kind: 'unchanged', record: newest, key })
    }
    if (errors.length > 0) return nothing({ kind: 'invalid', errors, key })
    if (newest === null && command.admit !== undefined) await passCheck(command.admit())
    const last = await lastOf(stream, newest?.revision ?? null)
    const event = unreadable(() =>
      sealNext(stream, last, {
        type: 'PipelineDefined',
        data: { version: newest === null ? 1 : newest.pipeline.version + 1, definition },
        recorder: { key, requestHash, actor, ...(traceparent === undefined ? null : { traceparent }) },
        correlation: name,
        now: options.now(),
      }),
    )
    return {
      kind: 'append',
      request: { stream, expectedRevision: last?.revision ?? 'noStream', events: [event] },
      appended: (place) => ({ kind: 'defined', record: catalog.record({ ...event, stream, ...place }), key }),
    }
  }

  async function lastOf(stream: string, revision: bigint | null): Promise<RecordedEvent | null> {
    if (revision === null) return null
    const last = await eventAt(log, stream, revision)
    if (last === null) throw new LogUnavailableError(`${stream}@${revision} cannot be read`)
    return last
  }

  /** The receipt: what was defined then, whatever was defined since. */
  function again(command: DefinePipeline, first: RecordedEvent, requestHash: string): DefinePipelineResult {
    const { key, actor } = command
    const { metadata } = unreadable(() => decode(first))
    if (metadata.requestHash === requestHash) {
      return { kind: 'defined', record: catalog.record(first), key }
    }
    return { kind: 'refused', refusal: options.keyReuse.refusal('pipeline', actor, metadata.actor), key }
  }

  async function guarded(command: DefinePipeline, sent: SentDefinition): Promise<DefinePipelineResult> {
    try {
      const append = await transact(batcher.append, limits.conflictsMax, () => decide(command, sent))
      switch (append.kind) {
        case 'done':
          return append.result
        case 'rejected':
          return append.reason === 'too_large'
            ? refused(command, 'too_large', 'The definition is larger than one append may be')
            : refused(command, 'invalid', 'The definition holds a value that the log cannot store')
        case 'failed':
          return failed(command, append.code)
        default:
          return append satisfies never
      }
    } catch (error) {
      if (error instanceof RefusedByCheck) throw error.reason
      if (!(error instanceof LogUnavailableError)) options.reportUnreadable(pipelineStream(command.name), error)
      return failed(command, failureOf(error))
    }
  }

  return {
    async define(command) {
      if (command.name === anyPipeline.name) {
        return refused(command, 'invalid', 'Pipeline any is built in and cannot be defined')
      }
      const checked = normaliseDefinition(command.definition)
      const { definition } = checked
      const errors = checked.kind === 'invalid' ? checked.errors : []
      if (definition === null) return { kind: 'invalid', errors, key: command.key }
      const leave = admission.enter(command.actor)
      if (leave === null) return failed(command, 'overloaded')
      try {
        return await pipelines.run(command.name, () => guarded(command, { definition, errors }))
      } finally {
        leave()
      }
    },
  }
}

function nothing(result: DefinePipelineResult): Decided<DefinePipelineResult> {
  return { kind: 'nothing', result }
}

function refused(command: DefinePipeline, code: Refusal['code'], detail: string): DefinePipelineResult {
  return { kind: 'refused', refusal: { code, detail }, key: command.key }
}

function atAnotherRevision(newest: PipelineRecord | null): Refusal {
  const revision = newest?.revision ?? null
  return revision === null
    ? { code: 'revision_mismatch', detail: 'The pipeline does not exist yet' }
    : { code: 'revision_mismatch', detail: `The pipeline is at revision ${revision}`, revision }
}
