import type { AppendRequest } from '../../../../src/eventlog/eventLog.ts'
import type { CommandBody, ReportStatus } from '../../../../src/operation/commands.ts'
import { decide } from '../../../../src/operation/decide.ts'
import type { DecidedEvent } from '../../../../src/operation/decision.ts'
import { normaliseDefinition } from '../../../../src/operation/definition.ts'
import { decode, encode, type StoredEvent } from '../../../../src/operation/envelope.ts'
import { isOperationEvent } from '../../../../src/operation/eventSchemas.ts'
import { evolve } from '../../../../src/operation/evolve.ts'
import { defaultLimits } from '../../../../src/operation/limits.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline } from '../../../../src/operation/pipeline.ts'
import { requestHash } from '../../../../src/operation/requestHash.ts'
import type { OperationState } from '../../../../src/operation/state.ts'
import { operationStream } from '../../../../src/operation/streamName.ts'
import { kinds } from '../../pipelines.ts'
import type { Call, WriteAnswer, WriteCall } from '../call.ts'

/** Makes what a node with a bug would: events that are sealed as they should be, and calls that come after all others. */

export const report = (status: string, more: Partial<ReportStatus> = {}): ReportStatus => ({
  type: 'ReportStatus',
  service: 'planted',
  status,
  ...more,
})

export interface Sealed {
  readonly request: AppendRequest
  readonly state: OperationState
}

const actor = 'anonymous'

/**
 * Decides a command on a state, whether or not the log stands there, and seals what it comes to. `keyEvents`: how many
 * events the stream has under the key.
 */
export function sealOn(
  before: OperationState | null,
  operation: string,
  key: string,
  body: CommandBody,
  keyEvents = 0,
): Sealed {
  const command = { operation, key, requestHash: requestHash(operation, undefined, body), actor, body }
  const pipeline = body.pipeline === undefined ? null : pipelineNamed(body.pipeline)
  const now = new Date().toISOString()
  const decision = decide(command, { state: before, pipeline, now, limits: defaultLimits })
  if (decision.kind === 'refused') throw new Error(`the rules refuse it: ${decision.refusal.code}`)
  const events = decision.events.map((event) => ({ ...event, keyIndex: event.keyIndex + keyEvents }))
  return sealEvents(before, { events, state: decision.state }, key)
}

/** Seals events whatever the rules say of them. */
function sealEvents(
  before: OperationState | null,
  decision: { readonly events: readonly DecidedEvent[]; readonly state: OperationState },
  key: string,
): Sealed {
  const { stream, events, state } = encode(before, decision, key)
  return { request: { stream, expectedRevision: before === null ? 'noStream' : before.revision, events }, state }
}

/** An event that no rule made. */
export function undecided(before: OperationState, key: string, body: ReportStatus, data: object): Sealed {
  const dataText = JSON.stringify(data)
  const event = { type: 'StatusChanged', data } as unknown as DecidedEvent['event']
  const decided = { event, dataText, dataBytes: Buffer.byteLength(dataText), key, actor, keyIndex: 0 }
  const hash = requestHash(before.id, undefined, body)
  return sealEvents(before, { events: [{ ...decided, requestHash: hash }], state: before }, key)
}

/** The fold of a stream of a pipeline in its first version. */
export function stateOf(events: readonly StoredEvent[]): OperationState {
  let state: OperationState | null = null
  for (const event of events) {
    const decoded = decode(event)
    if (!isOperationEvent(decoded)) throw new Error('no operation')
    state = evolve(state, decoded, decoded.meta, pipelineNamed)
  }
  if (state === null) throw new Error('no events')
  return state
}

function pipelineNamed(name: string): CompiledPipeline {
  if (name === anyPipeline.name) return anyPipeline
  const kind = kinds.find(({ pipeline }) => pipeline === name)
  const normalised = normaliseDefinition(kind?.definition)
  if (normalised.kind === 'invalid') throw new Error(`no pipeline ${name}`)
  return compilePipeline(name, 1, normalised.definition)
}

/** Calls of one more client, made one after the other when all others had ended. */
export function laterCalls(calls: readonly Call[]) {
  let us = calls.reduce((latest, { endUs }) => Math.max(latest, endUs), 0)
  return {
    /** When the next call begins. */
    get us(): number {
      return us + 10
    },
    write(operation: string, key: string, body: CommandBody, answer: WriteAnswer): WriteCall {
      us += 20
      return {
        kind: body.type === 'OpenOperation' ? 'open' : 'report',
        stream: operationStream(operation),
        key,
        requestHash: requestHash(operation, undefined, body),
        body,
        client: 'planted',
        node: null,
        startUs: us - 10,
        endUs: us,
        answer,
      }
    },
  }
}

export function accepted(
  { revision, position }: { readonly revision: bigint; readonly position: bigint },
  outcome = 'applied',
  created = false,
): WriteAnswer {
  return { kind: 'accepted', outcome, created, revision: String(revision), position: String(position) }
}
