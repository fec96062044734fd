import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Call, isWrite, type ListCall, type ReadCall, type WriteCall } from './call.ts'
import { checkHistory } from './checkHistory.ts'
import type { FaultType } from './faults.ts'
import { type CleanHistory, recordCleanHistory } from './support/cleanHistory.ts'

describe('an answer that is not true, in a history that was otherwise recorded as it happened', () => {
  let history: CleanHistory

  beforeAll(async () => {
    history = await recordCleanHistory({ seed: 3, callsMin: 1_000 })
  })
  afterAll(() => history?.database.drop({ allowOpen: true }))

  /** Replaces the first call that `lie` makes something of, and gives the types of the faults found. */
  function foundAfter(lie: (call: Call) => Call | null): readonly string[] {
    let told = false
    const calls = history.calls.map((call) => {
      const changed = told ? null : lie(call)
      if (changed !== null) told = true
      return changed ?? call
    })
    if (!told) throw new Error('no call suits')
    return Object.keys(checkHistory({ calls, log: history.log }).counts)
  }

  const accepted = (call: Call): call is WriteCall & { answer: { kind: 'accepted' } } =>
    isWrite(call) && call.answer.kind === 'accepted' && call.answer.outcome === 'applied'

  it.each<[string, FaultType, (call: Call) => Call | null]>([
    [
      'a receipt with another revision',
      'receipt_mismatch',
      (call) => withAnswer(call, accepted, (answer) => ({ ...answer, revision: next(answer.revision) })),
    ],
    [
      'a receipt with another position',
      'receipt_mismatch',
      (call) => withAnswer(call, accepted, (answer) => ({ ...answer, position: next(answer.position) })),
    ],
    [
      'a receipt with another outcome',
      'receipt_mismatch',
      (call) => withAnswer(call, accepted, (answer) => ({ ...answer, outcome: 'held' })),
    ],
    [
      '201 where nothing was opened',
      'receipt_mismatch',
      (call) => withAnswer(call, accepted, (answer) => ({ ...answer, created: !answer.created })),
    ],
    [
      'an answer nobody documented',
      'unexpected_answer',
      (call) => withAnswer(call, accepted, () => ({ kind: 'unexpected', status: 500, text: 'oops' })),
    ],
    [
      'a refusal for another reason',
      'wrong_refusal',
      (call) => withAnswer(call, isRefused, (answer) => ({ ...answer, code: 'operation_exists' })),
    ],
    [
      'a read of something else',
      'wrong_read',
      (call) =>
        withRead(
          call,
          () => true,
          (answer) => ({ ...answer, digest: 'x' }),
        ),
    ],
    [
      'a read beyond the end',
      'wrong_read',
      (call) =>
        withRead(
          call,
          () => true,
          (answer) => ({ ...answer, revision: next(answer.revision, 1_000n) }),
        ),
    ],
    [
      '404 for what was accepted',
      'stale_read',
      (call) =>
        call.kind === 'read' && call.answer.kind === 'found' && wasShownBefore(call)
          ? { ...call, answer: { kind: 'absent' } }
          : null,
    ],
    [
      'a read that is not up to the position asked for',
      'stale_read',
      (call) =>
        withRead(
          call,
          ({ consistency }) => consistency.kind === 'min',
          (answer) => ({ ...answer, foldedTo: '0' }),
        ),
    ],
    ['a list that lacks an operation', 'stale_read', (call) => withList(call, (operations) => operations.slice(1))],
    [
      'a parked operation',
      'read_model_parked',
      (call) =>
        withRead(
          call,
          () => true,
          (answer) => ({ ...answer, parked: true }),
        ),
    ],
    [
      'an event that a reader of the log was not shown',
      'late_event',
      (call) => withFeed(call, (events) => events.slice(0, -2).concat(events.slice(-1))),
    ],
    [
      'another event than a reader of the log was shown',
      'changed_event',
      (call) => withFeed(call, (events) => events.map((event) => ({ ...event, hash: '0'.repeat(64) }))),
    ],
    [
      'an event shown before it was sent',
      'read_from_future',
      (call) =>
        withRead(
          call,
          ({ consistency }) => consistency.kind === 'plain',
          (answer) => answer,
          { startUs: 0, endUs: 1 },
        ),
    ],
    [
      'a definition that was in force when an operation was opened with an older one',
      'stale_definition',
      (call) =>
        call.kind === 'define' && call.answer.kind === 'accepted'
          ? { ...call, answer: { ...call.answer, revision: '1' } }
          : null,
    ],
  ])('%s', (_, type, lie) => {
    expect(foundAfter(lie)).toContain(type)
  })

  it.each(['strong', 'min'] as const)('a stale read: a %s one gets the answer of an earlier one', (kind) => {
    const [earlier, later] = readsOfOneOperation(kind)
    const types = foundAfter((call) => (call === later ? { ...later, answer: { ...earlier.answer } } : null))
    expect(types).toContain('stale_read')
  })

  it('a decision on a state that is no longer current', () => {
    const known = new Map<string, WriteCall>()
    const types = foundAfter((call) => {
      if (!isWrite(call) || !call.stream.startsWith('operation-')) return null
      if (accepted(call)) known.set(call.stream, call)
      const before = known.get(call.stream)
      if (call.answer.kind !== 'refused' || call.answer.revision === undefined || before === undefined) return null
      if (before.endUs >= call.startUs || BigInt(call.answer.revision) === 0n) return null
      return { ...call, answer: { ...call.answer, revision: '0' } }
    })
    expect(types).toContain('stale_decision')
  })

  /** Whether somebody had been told of the operation before `read` began. */
  function wasShownBefore(read: ReadCall): boolean {
    return history.calls.some(
      (call) =>
        call.kind === 'read' &&
        call.operation === read.operation &&
        call.answer.kind === 'found' &&
        call.endUs < read.startUs,
    )
  }

  function readsOfOneOperation(kind: 'strong' | 'min'): readonly [ReadCall, ReadCall] {
    const reads = history.calls.filter((call): call is ReadCall => call.kind === 'read' && call.answer.kind === 'found')
    for (const later of reads) {
      if (later.consistency.kind !== kind) continue
      const earlier = reads.find(
        (read) =>
          read.operation === later.operation &&
          read.answer.kind === 'found' &&
          later.answer.kind === 'found' &&
          BigInt(read.answer.revision) < BigInt(later.answer.revision) &&
          (kind === 'strong'
            ? read.endUs < later.startUs
            : BigInt(read.answer.foldedTo) < BigInt(later.consistency.minPosition ?? 0)) &&
          reads.some(
            (between) =>
              between.operation === later.operation &&
              between.endUs < later.startUs &&
              between.answer.kind === 'found' &&
              read.answer.kind === 'found' &&
              BigInt(between.answer.revision) > BigInt(read.answer.revision),
          ),
      )
      if (earlier !== undefined) return [earlier, later]
    }
    throw new Error('no reads suit')
  }
})

function next(text: string, by = 1n): string {
  return String(BigInt(text) + by)
}

function isRefused(call: Call): call is WriteCall {
  return (
    isWrite(call) &&
    call.answer.kind === 'refused' &&
    call.answer.code !== 'operation_exists' &&
    call.answer.revision !== undefined
  )
}

function withAnswer(
  call: Call,
  suits: (call: Call) => boolean,
  change: (answer: Extract<WriteCall['answer'], { kind: 'accepted' }> & { code: string }) => object,
): Call | null {
  if (!isWrite(call) || !suits(call) || call.kind === 'define') return null
  return { ...call, answer: change(call.answer as never) } as WriteCall
}

function withRead(
  call: Call,
  suits: (call: ReadCall) => boolean,
  change: (answer: Extract<ReadCall['answer'], { kind: 'found' }>) => object,
  more: object = {},
): Call | null {
  if (call.kind !== 'read' || call.answer.kind !== 'found' || !suits(call)) return null
  return { ...call, answer: change(call.answer), ...more } as ReadCall
}

type Listed = Extract<ListCall['answer'], { kind: 'listed' }>

function withList(call: Call, change: (operations: Listed['operations']) => Listed['operations']): Call | null {
  if (call.kind !== 'list' || call.answer.kind !== 'listed' || call.answer.operations.length === 0) return null
  return { ...call, answer: { ...call.answer, operations: change(call.answer.operations) } }
}

type Events = readonly { readonly position: string; readonly hash: string }[]

function withFeed(call: Call, change: (events: Events) => Events): Call | null {
  if (call.kind !== 'feed' || call.answer.kind !== 'events' || call.answer.events.length < 3) return null
  return { ...call, answer: { ...call.answer, events: change(call.answer.events) } }
}
