import assert from 'node:assert/strict'
import { expect } from 'vitest'
import type { Command, CommandBody, OpenOperation, ReportStatus } from '../../../src/operation/commands.ts'
import { decide } from '../../../src/operation/decide.ts'
import type { Decision, Outcome, Refusal } from '../../../src/operation/decision.ts'
import { normaliseDefinition } from '../../../src/operation/definition.ts'
import { decode, encode, type StoredEvent } from '../../../src/operation/envelope.ts'
import { isOperationEvent } from '../../../src/operation/eventSchemas.ts'
import type { OperationEvent } from '../../../src/operation/events.ts'
import { evolve } from '../../../src/operation/evolve.ts'
import { defaultLimits, type OperationLimits } from '../../../src/operation/limits.ts'
import { type CompiledPipeline, compilePipeline } from '../../../src/operation/pipeline.ts'
import { requestHash } from '../../../src/operation/requestHash.ts'
import type { OperationState } from '../../../src/operation/state.ts'
import { restoreState, serialiseState } from '../../../src/operation/stateJson.ts'
import { verifyStream } from '../../../src/operation/verifyStream.ts'
import { plainState } from './plainState.ts'

export type Report = Omit<ReportStatus, 'type' | 'service'> & { readonly service?: string }

/** A definition that must be valid, compiled. */
export function pipeline(definition: unknown, name = 'invoice', version = 1): CompiledPipeline {
  const checked = normaliseDefinition(definition)
  if (checked.kind === 'invalid') throw new Error(JSON.stringify(checked.errors))
  return compilePipeline(name, version, checked.definition)
}

/** A linear pipeline. */
export function linear(outOfOrder: 'reject' | 'advance' | 'hold', statuses = ['new', 'a', 'b', 'done'], more = {}) {
  return pipeline({ statuses, outOfOrder, ...more })
}

/**
 * One operation's stream as the command service would keep it: decides, seals, and folds what was sealed. After every
 * command it holds the state the decider kept against the fold of the whole stream, a restored copy, and the chain.
 */
export class Ledger {
  readonly pipeline: CompiledPipeline
  readonly limits: OperationLimits
  readonly events: StoredEvent[] = []
  /** Whether `check` runs after every command. It takes the whole stream each time: properties ask once, at the end. */
  readonly checksEach: boolean
  state: OperationState | null = null
  #commands = 0

  constructor(definition: CompiledPipeline, limits: Partial<OperationLimits> = {}, checksEach = true) {
    this.checksEach = checksEach
    this.pipeline = definition
    this.limits = { ...defaultLimits, ...limits }
  }

  open(body: Partial<OpenOperation> = {}): Decision {
    return this.submit({ type: 'OpenOperation', pipeline: this.pipeline.name, ...body })
  }

  report(report: Report, options: Partial<Command> = {}): Decision {
    return this.submit({ type: 'ReportStatus', service: 'svc', ...report }, options)
  }

  submit(body: CommandBody, options: Partial<Command> = {}): Decision {
    this.#commands += 1
    const key = options.key ?? `k${this.#commands}`
    const hash = requestHash('op-1', options.expectedRevision, body)
    const command: Command = { operation: 'op-1', key, requestHash: hash, actor: 'tester', body, ...options }
    const decision = this.decide(command)
    if (decision.kind === 'accepted') this.#append(command, decision)
    return decision
  }

  decide(command: Command): Decision {
    const now = new Date(Date.UTC(2026, 0, 1, 0, 0, this.#commands)).toISOString()
    const named = command.body.pipeline !== undefined && command.body.pipeline === this.pipeline.name
    return decide(command, { state: this.state, pipeline: named ? this.pipeline : null, now, limits: this.limits })
  }

  get current(): OperationState {
    if (this.state === null) throw new Error('not opened')
    return this.state
  }

  /** Status by track, `-` where there is none, with the phase unless it is active. */
  statuses(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.current.tracks).map(([name, { status, phase }]) => [
        name,
        phase === 'active' ? (status ?? '-') : phase === 'final' ? `${status}!` : phase,
      ]),
    )
  }

  #append(command: Command, decision: Extract<Decision, { kind: 'accepted' }>): void {
    const append = encode(this.state, decision, command.key)
    let revision = this.state === null ? 0n : this.state.revision + 1n
    for (const event of append.events) {
      this.events.push({ ...event, stream: append.stream, revision })
      revision += 1n
    }
    this.state = append.state
    if (this.checksEach) this.check()
  }

  /** The state the decider kept is the fold of all events and survives being stored, and the chain holds. */
  check(): void {
    const { state, pipeline: definition } = this
    const folded = fold(this.events, definition)
    if (state === null) {
      assert.equal(folded, null)
      return
    }
    const restored = restoreState(serialiseState(state), () => definition)
    assert.ok(folded !== null && restored !== null)
    assert.deepStrictEqual(plainState(folded), plainState(state))
    assert.deepStrictEqual(plainState(restored), plainState(state))
    assert.equal(verifyStream(this.events).kind, 'intact')
  }
}

export function fold(events: readonly StoredEvent[], definition: CompiledPipeline): OperationState | null {
  let state: OperationState | null = null
  for (const stored of events) {
    const decoded = decode(stored)
    if (!isOperationEvent(decoded)) throw new Error('not an event of an operation')
    state = evolve(state, decoded, decoded.meta, () => definition)
  }
  return state
}

/** Opens an operation and sends the reports, all of which must be taken. */
export function given(definition: CompiledPipeline, ...reports: readonly (Report | string)[]): Ledger {
  const ledger = new Ledger(definition)
  expect(ledger.open().kind).toBe('accepted')
  for (const report of reports) expect(when(ledger, report)).not.toMatch(/^refused/)
  return ledger
}

/** Sends a report; a string `track:status` or `status` for short. Answers in one line: outcome, reason, what was recorded. */
export function when(ledger: Ledger, report: Report | string, options: Partial<Command> = {}): string {
  const [status = '', track] = typeof report === 'string' ? report.split(':').reverse() : []
  const full: Report = typeof report === 'string' ? { status, ...(track === undefined ? {} : { track }) } : report
  return told(ledger.report(full, options))
}

export function told(decision: Decision): string {
  if (decision.kind === 'refused') return `refused ${decision.refusal.code}`
  const events = decision.events.map(
    ({ event, key, keyIndex }) => `${eventLine(event)} by ${key}${'+'.repeat(keyIndex)}`,
  )
  return [outcomeLine(decision.outcome, decision.reason), ...events].join(' | ')
}

function outcomeLine(outcome: Outcome, reason: string | undefined): string {
  return reason === undefined ? outcome : `${outcome} ${reason}`
}

export function eventLine(event: OperationEvent): string {
  switch (event.type) {
    case 'OperationOpened':
      return 'opened'
    case 'OperationDescribed':
      return 'described'
    case 'StatusChanged':
      return `${event.data.track} ${event.data.from}>${event.data.to}`
    case 'DataMerged':
      return `${event.data.track} =${event.data.status}`
    case 'ReportHeld':
      return `held ${event.data.track}:${event.data.status}`
    case 'ReportIgnored':
      return `${event.data.reason} ${event.data.track}:${event.data.status}`
  }
}

export function refusal(decision: Decision): Refusal {
  if (decision.kind !== 'refused') throw new Error(`was ${decision.outcome}`)
  return decision.refusal
}
