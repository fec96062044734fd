// What a node with a bug in the rules for wrong senders would append or answer: sealed as it should be, and found all the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CommandBody, OpenOperation } from '../../../src/operation/commands.ts'
import { nothingDeleted } from '../../../src/operation/deletedPaths.ts'
import type { OperationState } from '../../../src/operation/state.ts'
import type { Call, WriteAnswer } from './call.ts'
import type { Verdict } from './checkHistory.ts'
import type { FaultType } from './faults.ts'
import { type CleanHistory, recordCleanHistory } from './support/cleanHistory.ts'
import { accepted, laterCalls, report, sealOn } from './support/craft.ts'
import { type SpoiltCopy, verdictOnSpoilt } from './support/plant.ts'

const operation = 'planted'
const stream = `operation-${operation}`

interface Step {
  readonly key: string
  readonly body: CommandBody
  /** The state that the node takes it on; default: the true one. */
  readonly on?: (state: OperationState) => OperationState
  readonly outcome?: string
}

function withoutMarks(state: OperationState): OperationState {
  const tracks = Object.entries(state.tracks).map(([name, track]) => [name, { ...track, marks: {}, observedMarks: {} }])
  return { ...state, tracks: Object.fromEntries(tracks) }
}

describe('a planted bug in the rules', () => {
  let history: CleanHistory

  beforeAll(async () => {
    history = await recordCleanHistory({ seed: 5, callsMin: 300 })
  })
  afterAll(() => history?.database.drop({ allowOpen: true }))

  /** Takes the steps one after the other, each appended and answered; `more` may add calls. */
  const verdictOn = (
    steps: readonly Step[],
    more: (calls: ReturnType<typeof laterCalls>, receipts: readonly WriteAnswer[]) => readonly Call[] = () => [],
  ): Promise<Verdict> =>
    verdictOnSpoilt(history, async ({ append }: SpoiltCopy) => {
      const calls = laterCalls(history.calls)
      const planted: Call[] = []
      const receipts: WriteAnswer[] = []
      let state: OperationState | null = null
      for (const { key, body, on, outcome = 'applied' } of steps) {
        const opens: boolean = state === null
        const before: OperationState | null = state === null || on === undefined ? state : on(state)
        const sealed = sealOn(before, operation, key, body)
        const [said, reason] = outcome.split(' ')
        const receipt = accepted(await append(sealed.request), said, opens)
        const answer = reason === undefined ? receipt : ({ ...receipt, reason } as WriteAnswer)
        planted.push(calls.write(operation, key, body, answer))
        receipts.push(answer)
        state = sealed.state
      }
      return { calls: [...history.calls, ...planted, ...more(calls, receipts)] }
    })

  const found = (verdict: Verdict) => verdict.faults.map(({ type, stream: name }) => `${type} ${name}`)
  const expectOnly = (verdict: Verdict, ...types: readonly FaultType[]): void => {
    expect([...new Set(found(verdict))].sort()).toEqual(types.map((type) => `${type} ${stream}`).sort())
  }

  const opened: Step = { key: 'open', body: report('paid', { pipeline: 'forwards', data: { draft: 1 } }) }
  const late: Step = { key: 'late', body: report('read', { sequence: 5 }), outcome: 'ignored overtaken' }
  const older = report('done', { sequence: 4 })
  const description: OpenOperation = { type: 'OpenOperation', pipeline: 'forwards', theme: 'first' }

  it('a forgotten mark: a report older than an ignored one is applied', async () => {
    const ignored: Step = { key: 'older', body: older, outcome: 'ignored older_sequence' }
    expectOnly(await verdictOn([opened, late, ignored]))
    expectOnly(await verdictOn([opened, late, { key: 'older', body: older, on: withoutMarks }]), 'wrong_transition')
  })

  it('a brought-back deletion: late data is filled in where a report had said null', async () => {
    const deletes: Step = { key: 'delete', body: report('paid', { data: { draft: null } }) }
    const fills: Step = { key: 'fill', body: report('read', { data: { draft: 2 } }), outcome: 'ignored overtaken' }
    expectOnly(await verdictOn([opened, deletes, fills]))
    // The event is the same: it is seen by what follows, which the node takes as saying nothing new.
    const again: Step = { key: 'again', body: report('paid', { data: { draft: 2 } }) }
    expectOnly(await verdictOn([opened, deletes, fills, again]))
    const broughtBack = (state: OperationState): OperationState => {
      const filled = sealOn({ ...state, deleted: nothingDeleted }, operation, 'x', fills.body)
      return { ...filled.state, revision: state.revision, lastHash: state.lastHash }
    }
    const duplicate: Step = { ...again, on: broughtBack, outcome: 'ignored duplicate' }
    expectOnly(await verdictOn([opened, deletes, fills, duplicate]), 'wrong_transition')
  })

  it('a read that shows a brought-back member', async () => {
    const deletes: Step = { key: 'delete', body: report('paid', { data: { draft: null } }) }
    const fills: Step = { key: 'fill', body: report('read', { data: { draft: 2 } }), outcome: 'ignored overtaken' }
    const verdict = await verdictOn([opened, deletes, fills], (calls, receipts) => {
      const last = receipts.at(-1)
      if (last?.kind !== 'accepted') throw new Error('the last report is accepted')
      const { revision, position } = last
      const seen = { operation, revision, position, digest: 'of another document' }
      const read = { kind: 'read', operation, consistency: { kind: 'strong' }, client: 'planted', node: null } as const
      const { us } = calls
      return [{ ...read, startUs: us, endUs: us + 1, answer: { kind: 'found', foldedTo: position, ...seen } }]
    })
    expectOnly(verdict, 'wrong_read')
  })

  it('a second description, and one of an operation that an open has opened', async () => {
    const first: Step = { key: 'describe', body: description, outcome: 'opened' }
    expectOnly(await verdictOn([opened, first]))
    const again = { ...first, key: 'again', on: (state: OperationState) => ({ ...state, undescribed: true }) }
    expectOnly(await verdictOn([opened, first, again]), 'wrong_transition')
    expectOnly(await verdictOn([{ ...first, key: 'open' }, again]), 'wrong_transition')
  })

  it('a first description that is refused', async () => {
    const refusal = { kind: 'refused', code: 'operation_exists', revision: '1' } as const
    const verdict = await verdictOn([opened], (calls) => [calls.write(operation, 'd', description, refusal)])
    expectOnly(verdict, 'wrong_refusal')
  })

  it('an ignored report without an event, unless it had neither key nor sequence and the pipeline spares it', async () => {
    const quiet: Step = { key: 'open', body: report('paid', { pipeline: 'quiet' }) }
    const ignored = { kind: 'accepted', outcome: 'ignored', reason: 'overtaken', created: false } as const
    const answeredAt = (body: CommandBody, keyless: boolean) =>
      verdictOn([quiet], (calls, [receipt]) => {
        if (receipt?.kind !== 'accepted') throw new Error('the first report is accepted')
        const { revision, position } = receipt
        const call = calls.write(operation, 'spared', body, { ...ignored, revision, position })
        return [keyless ? { ...call, keyGenerated: true } : call]
      })
    expectOnly(await answeredAt(report('read'), true))
    expectOnly(await answeredAt(report('read'), false), 'lost_write')
    expectOnly(await answeredAt(report('read', { sequence: 1 }), true), 'lost_write')
  })

  it('a 412 although only ignored reports that filled nothing came after the revision', async () => {
    const mismatch = { kind: 'refused', code: 'revision_mismatch', revision: '2' } as const
    const answered = (expectedRevision: string) =>
      verdictOn([opened, late], (calls) => [
        { ...calls.write(operation, 'careful', report('done'), mismatch), expectedRevision },
      ])
    expectOnly(await answered('1'), 'wrong_refusal')
    expectOnly(await answered('0'))
  })
})
