import type { AppendRequest, EventLog } from '../../../src/eventlog/eventLog.ts'
import type { Command, CommandBody } from '../../../src/operation/commands.ts'
import { decide } from '../../../src/operation/decide.ts'
import { normaliseDefinition } from '../../../src/operation/definition.ts'
import { encode, noHash, seal } from '../../../src/operation/envelope.ts'
import type { ProjectionEvent } from '../../../src/operation/events.ts'
import { projectionEventsVersion } from '../../../src/operation/eventVersion.ts'
import { defaultLimits } from '../../../src/operation/limits.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline } from '../../../src/operation/pipeline.ts'
import { requestHash } from '../../../src/operation/requestHash.ts'
import type { OperationState } from '../../../src/operation/state.ts'
import { operationStream, pipelineStream } from '../../../src/operation/streamName.ts'
import { interventionStream } from '../../../src/projections/parking/interventions.ts'

/** Writes a log as the command service would: decides, seals and appends, and keeps the states it decided on. */
export class Journal {
  readonly log: EventLog
  readonly states = new Map<string, OperationState>()
  readonly pipelines = new Map<string, CompiledPipeline>([['any', anyPipeline]])
  /** Position of each operation's last event. */
  readonly positions = new Map<string, bigint>()
  position = 0n
  #nowMs = Date.UTC(2026, 0, 1)
  #commands = 0
  #interventions = { revision: -1n, hash: noHash }
  readonly #pipelineHeads = new Map<string, { revision: bigint; hash: string }>()

  constructor(log: EventLog) {
    this.log = log
  }

  get now(): string {
    return new Date(this.#nowMs).toISOString()
  }

  pass(ms: number): void {
    this.#nowMs += ms
  }

  /** Defines a pipeline's next version. */
  async define(name: string, definition: unknown): Promise<CompiledPipeline> {
    const checked = normaliseDefinition(definition)
    if (checked.kind === 'invalid') throw new Error(JSON.stringify(checked.errors))
    const version = (this.pipelines.get(name)?.version ?? 0) + 1
    const head = this.#pipelineHeads.get(name)
    const revision = (head?.revision ?? -1n) + 1n
    const stream = pipelineStream(name)
    const data = JSON.stringify({ version, definition: checked.definition })
    const sealed = seal({
      stream,
      revision,
      previousHash: head?.hash ?? noHash,
      type: 'PipelineDefined',
      data,
      dataBytes: Buffer.byteLength(data),
      recorder: { key: `define-${version}`, requestHash: 'r', actor: 'tester' },
      keyIndex: 0,
      correlation: name,
      causation: `define-${version}`,
      recordedAt: this.now,
    })
    await this.append([
      { stream, expectedRevision: revision === 0n ? 'noStream' : revision - 1n, events: [sealed.event] },
    ])
    this.#pipelineHeads.set(name, { revision, hash: sealed.hash })
    const pipeline = compilePipeline(name, version, checked.definition)
    this.pipelines.set(name, pipeline)
    return pipeline
  }

  /** Decides and seals one command on what was decided before it. Null when nothing is to be appended. */
  decide(operation: string, body: CommandBody): AppendRequest | null {
    this.#commands += 1
    const command: Command = {
      operation,
      key: `k${this.#commands}`,
      requestHash: requestHash(operation, undefined, body),
      actor: 'tester',
      body,
    }
    const before = this.states.get(operation) ?? null
    const pipeline = body.pipeline === undefined ? null : (this.pipelines.get(body.pipeline) ?? null)
    const decision = decide(command, { state: before, pipeline, now: this.now, limits: defaultLimits })
    if (decision.kind !== 'accepted' || decision.events.length === 0) return null
    const { stream, events, state } = encode(before, decision, command.key)
    this.states.set(operation, state)
    return { stream, expectedRevision: before === null ? 'noStream' : before.revision, events }
  }

  /** Sends one command. True when it appended. */
  async submit(operation: string, body: CommandBody): Promise<boolean> {
    const request = this.decide(operation, body)
    if (request !== null) await this.append([request])
    return request !== null
  }

  open(operation: string, body: Partial<Extract<CommandBody, { type: 'OpenOperation' }>> = {}): Promise<boolean> {
    return this.submit(operation, { type: 'OpenOperation', pipeline: 'any', ...body })
  }

  report(
    operation: string,
    status: string,
    body: Partial<Extract<CommandBody, { type: 'ReportStatus' }>> = {},
  ): Promise<boolean> {
    return this.submit(operation, { type: 'ReportStatus', service: 'svc', status, ...body })
  }

  /** Appends an event that no node can fold. What is reported afterwards follows on it. */
  async poison(operation: string): Promise<bigint> {
    const before = this.states.get(operation)
    const stream = operationStream(operation)
    const revision = (before?.revision ?? -1n) + 1n
    const { event, hash } = this.#seal(stream, revision, before?.lastHash ?? noHash, 'Nonsense', '{}')
    await this.append([{ stream, expectedRevision: before?.revision ?? 'noStream', events: [event] }])
    if (before !== undefined) this.states.set(operation, { ...before, revision, lastHash: hash })
    return revision
  }

  /** As the command service records what an operator does to the projection. */
  async intervene({ type, data }: ProjectionEvent): Promise<void> {
    const { revision: last, hash } = this.#interventions
    const text = JSON.stringify(data)
    const sealed = this.#seal(interventionStream, last + 1n, hash, type, text, projectionEventsVersion)
    const expectedRevision = last < 0n ? 'noStream' : last
    await this.append([{ stream: interventionStream, expectedRevision, events: [sealed.event] }])
    this.#interventions = { revision: last + 1n, hash: sealed.hash }
  }

  skip(operation: string, revision: bigint): Promise<void> {
    return this.skipStream(operationStream(operation), revision)
  }

  skipStream(stream: string, revision: bigint): Promise<void> {
    return this.intervene({ type: 'EventSkipped', data: { stream, revision: Number(revision), reason: 'a test' } })
  }

  retry(operation: string): Promise<void> {
    return this.intervene({ type: 'StreamRetried', data: { stream: operationStream(operation) } })
  }

  #seal(stream: string, revision: bigint, previousHash: string, type: string, data: string, schemaVersion = 1) {
    this.#commands += 1
    const key = `raw-${this.#commands}`
    return seal({
      stream,
      revision,
      previousHash,
      type,
      data,
      dataBytes: Buffer.byteLength(data),
      recorder: { key, requestHash: 'r', actor: 'tester' },
      keyIndex: 0,
      correlation: stream,
      causation: key,
      recordedAt: this.now,
      schemaVersion,
    })
  }

  async append(batch: readonly AppendRequest[]): Promise<void> {
    const outcomes = await this.log.append(batch)
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.kind !== 'appended') throw new Error(`append ${index} was not: ${outcome.kind}`)
      if (outcome.position > this.position) this.position = outcome.position
      const stream = batch[index]?.stream ?? ''
      if (stream.startsWith('operation-')) this.positions.set(stream.slice('operation-'.length), outcome.position)
    }
  }
}
