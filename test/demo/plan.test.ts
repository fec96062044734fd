// The plan's expectations, its fold and its rules are written apart from the domain's. Played against the decider, in the
// planned order and in any other, the two must agree on every operation, byte for byte.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadDocuments } from '../../src/demo/documents.ts'
import { isObject, type JsonObject, textOf } from '../../src/demo/json.ts'
import { type Answer, type OperationRecord, openRecord } from '../../src/demo/ledger.ts'
import { definition, type Policy } from '../../src/demo/pipeline.ts'
import { type PlannedCommand, planOperation } from '../../src/demo/plan.ts'
import { checkOperation } from '../../src/demo/proof/checkOperation.ts'
import { createFindings } from '../../src/demo/proof/findings.ts'
import { type LoggedEvent, readEventPage } from '../../src/demo/proof/loggedEvent.ts'
import { createRandom } from '../../src/demo/random.ts'
import type { CommandBody } from '../../src/operation/commands.ts'
import { decide } from '../../src/operation/decide.ts'
import { normaliseDefinition } from '../../src/operation/definition.ts'
import { encode } from '../../src/operation/envelope.ts'
import { defaultLimits } from '../../src/operation/limits.ts'
import { type CompiledPipeline, compilePipeline } from '../../src/operation/pipeline.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { operationBody } from '../../src/operation/view.ts'

const documents = await loadDocuments()

function compiled(policy: Policy): CompiledPipeline {
  const result = normaliseDefinition(definition(policy))
  if (result.kind !== 'valid') throw new Error(JSON.stringify(result))
  return compilePipeline('p', 1, result.definition)
}

function bodyOf({ kind, body: sent }: PlannedCommand): CommandBody {
  const body: JsonObject = { ...sent }
  const object = (member: string) => (isObject(body[member]) ? { [member]: body[member] } : {})
  const documents = { ...object('data'), ...object('metadata') }
  if (kind === 'open') return { type: 'OpenOperation', pipeline: 'p', theme: textOf(body.theme), ...documents }
  return {
    type: 'ReportStatus',
    service: textOf(body.service),
    status: textOf(body.status),
    ...(typeof body.track === 'string' ? { track: body.track } : {}),
    ...(typeof body.observedAt === 'string' ? { observedAt: body.observedAt } : {}),
    ...(typeof body.sequence === 'number' ? { sequence: body.sequence } : {}),
    ...(body.pipeline === undefined ? {} : { pipeline: 'p' }),
    ...documents,
  }
}

/** Plays commands against the decider and shows what a faithful service would. */
function play(record: OperationRecord, order: readonly PlannedCommand[], pipeline: CompiledPipeline) {
  const { id } = record.plan
  let state: OperationState | null = null
  const rows: string[] = []
  for (const [step, command] of order.entries()) {
    const now = new Date(Date.UTC(2026, 0, 1) + step).toISOString()
    const decision = decide(
      { operation: id, key: command.key, requestHash: 'x', actor: 'anonymous', body: bodyOf(command) },
      { state, pipeline, now, limits: defaultLimits },
    )
    const sent = record.sent.find((candidate) => candidate.command === command)
    const answer = { httpStatus: 200, outcome: null, reason: null, revision: null, position: null, code: null }
    if (decision.kind === 'refused') {
      sent?.answers.push({ ...answer, httpStatus: 409, code: decision.refusal.code })
      continue
    }
    const encoded = encode(state, decision, command.key)
    for (const event of encoded.events) {
      const at = rows.length
      const { data, metadata } = event
      rows.push(
        `{"stream":"operation-${id}","revision":${at},"position":"${at}","id":"${event.id}","type":"${event.type}","data":${data},"metadata":${metadata}}`,
      )
    }
    state = encoded.state
    const revision = Number(state.revision)
    const { outcome, reason = null } = decision
    sent?.answers.push({ ...answer, outcome, reason, revision, position: String(revision) } satisfies Answer)
  }
  const { events } = readEventPage(`{"events":[${rows.join(',')}],"next":""}`)
  const body: unknown = state === null ? null : JSON.parse(operationBody(state))
  return { events, body: isObject(body) ? { ...body, pipeline: { name: record.plan.pipeline } } : null }
}

function faultsOf(
  seed: number,
  index: number,
  policy: Policy,
  reorder: (commands: PlannedCommand[]) => PlannedCommand[],
) {
  const document = documents[seed % documents.length] ?? documents[0]
  const id = `demo-${index}`
  const random = createRandom(seed).fork(`operation ${index}`)
  const record = openRecord(planOperation({ index, id, document, policy, pipeline: `webhooks-${policy}` }, random))
  const [first, ...rest] = record.plan.commands
  const order = first === undefined ? [] : [first, ...reorder(rest)]
  const { events, body } = play(record, order, compiled(policy))
  const findings = createFindings()
  checkOperation(record, { events, byId: body, listed: body }, findings)
  return { faults: findings.faults, events }
}

describe('the plan', () => {
  it('is the same for the same seed, and another for another', () => {
    const options = { index: 3, id: 'demo-3', document: documents[0], policy: 'hold', pipeline: 'p' } as const
    const plan = (seed: number) => planOperation(options, createRandom(seed).fork('operation 3'))
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
  })

  it('has every kind of mishap, fate and opening within a few hundred operations', () => {
    const plans = Array.from({ length: 400 }, (_, index) =>
      planOperation(
        { index, id: `demo-${index}`, document: documents[0], policy: 'advance', pipeline: 'p' },
        createRandom(1).fork(`operation ${index}`),
      ),
    )
    const commands = plans.flatMap((plan) => plan.commands)
    expect(new Set(commands.map((command) => command.mishap)).size).toBe(5)
    expect(new Set(plans.map((plan) => plan.fate)).size).toBe(3)
    expect(new Set(plans.map((plan) => plan.commands[0]?.kind)).size).toBe(2)
    expect(plans.some((plan) => plan.raced)).toBe(true)
    expect(new Set(commands.map((command) => command.key)).size).toBe(commands.length)
  })

  it.each(['advance', 'hold'] as const)('ends as promised under `%s`, in the planned order', (policy) => {
    const kinds = new Set<string>()
    for (let index = 0; index < 100; index += 1) {
      const { faults, events } = faultsOf(42, index, policy, (commands) => commands)
      expect(faults).toEqual([])
      for (const event of events as readonly LoggedEvent[]) kinds.add(event.type)
    }
    expect([...kinds].sort()).toEqual([
      'DataMerged',
      'OperationDescribed',
      'OperationOpened',
      'ReportHeld',
      'ReportIgnored',
      'StatusChanged',
    ])
  })

  it('ends as promised in any order of arrival', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(999),
        fc.constantFrom('advance', 'hold'),
        fc.infiniteStream(fc.nat()),
        (seed, index, policy, draws) => {
          const shuffled = (commands: PlannedCommand[]): PlannedCommand[] =>
            commands
              .map((command) => ({ command, rank: draws.next().value ?? 0 }))
              .sort((left, right) => left.rank - right.rank)
              .map(({ command }) => command)
          expect(faultsOf(seed, index, policy, shuffled).faults).toEqual([])
        },
      ),
      { numRuns: 200 },
    )
  })
})
