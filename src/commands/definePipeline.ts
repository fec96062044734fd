import type { AppendOutcome, EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import type { Refusal } from '../operation/decision.ts'
import { normaliseDefinition, sameDefinition } from '../operation/definition.ts'
import type { DefinitionError } from '../operation/definitionParse.ts'
import { decode, noHash, type SealedEvent, seal } from '../operation/envelope.ts'
import { eventId } from '../operation/eventId.ts'
import { isJsonObject } from '../operation/json.ts'
import { anyPipeline, type PipelineDefinition } from '../operation/pipeline.ts'
import { definitionRequestHash } from '../operation/requestHash.ts'
import { pipelineStream } from '../operation/streamName.ts'
import type { Batches } from './batches.ts'
import type { CommandLimits } from './commandLimits.ts'
import type { CommandFailure, DefinePipeline, DefinePipelineResult, PipelineRecord } from './commandService.ts'
import type { KeyReuse } from './keyReuse.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import type { TicketDesk } from './ticketDesk.ts'
import { createTurns } from './turns.ts'
import { failureOf, unreadable } from './unreadable.ts'

export interface PipelineDefiner {
  define(command: DefinePipeline): Promise<DefinePipelineResult>
}

export interface PipelineDefinerOptions {
  readonly log: EventLog
  /** RFC 3339 UTC. */
  readonly now: () => string
  readonly catalog: PipelineCatalog
  readonly batches: Batches
  readonly desk: TicketDesk
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
 * Definitions are rare, so they have no lanes: those of one pipeline take turns, and each asks the log anew. Their
 * appends travel with the commands' batches.
 */
export function createPipelineDefiner(options: PipelineDefinerOptions): PipelineDefiner {
  const { log, catalog, batches, desk, limits } = options
  const turns = createTurns()

  const failed = (command: DefinePipeline, code: CommandFailure['code']): DefinePipelineResult => ({
    kind: 'failed',
    failure: { code, retryAfterS: limits.retryAfterS },
    key: command.key,
  })

  async function inTurn(command: DefinePipeline, sent: SentDefinition): Promise<DefinePipelineResult> {
    for (let conflicts = 0; conflicts <= limits.conflictsMax; conflicts += 1) {
      const result = await attempt(command, sent)
      if (result !== 'again') return result
    }
    return failed(command, 'contention')
  }

  async function attempt(
    command: DefinePipeline,
    { definition, errors }: SentDefinition,
  ): Promise<DefinePipelineResult | 'again'> {
    const { name, key } = command
    const stream = pipelineStream(name)
    // A definition that was found valid is an object; null only serves the type.
    const sent = isJsonObject(command.definition) ? command.definition : null
    const requestHash = definitionRequestHash(name, command.expectedRevision, sent)
    // In this order: what comes after it changes the revision, and EventStoreDB would append an id once more.
    const newest = await catalog.newest(name)
    const first = await log.readEvent(stream, eventId(stream, key, 0))
    if (first !== null) return again(command, first, requestHash)
    if (command.expectedRevision !== undefined && command.expectedRevision !== newest?.revision) {
      return { kind: 'refused', refusal: atAnotherRevision(newest), key }
    }
    if (newest !== null && sameDefinition(newest.pipeline.definition, definition)) {
      return { kind: 'unchanged', record: newest, key }
    }
    if (errors.length > 0) return { kind: 'invalid', errors, key }
    const revision = newest?.revision ?? null
    const previousHash = revision === null ? noHash : await hashAt(stream, revision)
    const event = sealDefinition(command, requestHash, definition, newest, previousHash, options.now())
    const outcome = await batches.append({ stream, expectedRevision: revision ?? 'noStream', events: [event] })
    return answer(command, event, outcome)
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

  async function hashAt(stream: string, revision: bigint): Promise<string> {
    const [stored] = await log.readStream(stream, { fromRevision: revision, maxCount: 1 })
    if (stored === undefined) throw new LogUnavailableError(`${stream}@${revision} cannot be read`)
    return unreadable(() => decode(stored)).metadata.hash
  }

  function answer(command: DefinePipeline, event: SealedEvent, outcome: AppendOutcome): DefinePipelineResult | 'again' {
    const { name, key } = command
    switch (outcome.kind) {
      case 'appended': {
        const { revision, position } = outcome
        return {
          kind: 'defined',
          record: catalog.record({ ...event, stream: pipelineStream(name), revision, position }),
          key,
        }
      }
      case 'conflict':
      case 'duplicate':
      case 'untried':
        return 'again'
      case 'rejected':
        return outcome.reason === 'too_large'
          ? refused(command, 'too_large', 'The definition is larger than one append may be')
          : refused(command, 'invalid', 'The definition holds a value that the log cannot store')
      case 'unavailable':
        return failed(command, 'log_unavailable')
      case 'unknown':
        return failed(command, 'outcome_unknown')
      default:
        return outcome satisfies never
    }
  }

  async function guarded(command: DefinePipeline, sent: SentDefinition): Promise<DefinePipelineResult> {
    try {
      return await inTurn(command, sent)
    } catch (error) {
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
      if (!desk.enter()) return failed(command, 'overloaded')
      try {
        return await turns.take(command.name, () => guarded(command, { definition, errors }))
      } finally {
        desk.leave()
      }
    },
  }
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

function sealDefinition(
  command: DefinePipeline,
  requestHash: string,
  definition: PipelineDefinition,
  newest: PipelineRecord | null,
  previousHash: string,
  now: string,
): SealedEvent {
  const { name, key, actor, traceparent } = command
  const version = newest === null ? 1 : newest.pipeline.version + 1
  const data = JSON.stringify({ version, definition })
  const definedAt = newest?.definedAt ?? now
  const { event } = seal({
    stream: pipelineStream(name),
    revision: BigInt(version - 1),
    previousHash,
    type: 'PipelineDefined',
    data,
    dataBytes: Buffer.byteLength(data),
    recorder: { key, requestHash, actor, ...(traceparent === undefined ? null : { traceparent }) },
    keyIndex: 0,
    correlation: name,
    causation: key,
    recordedAt: now > definedAt ? now : definedAt,
  })
  return event
}
