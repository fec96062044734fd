import { describe, expect, it } from 'vitest'
import { applyOutcomes } from '../../src/commands/applyOutcomes.ts'
import type { Accepted, ChainAnswer, ChainedAppend, CommandChain } from '../../src/commands/commandChain.ts'
import type { CommandResult } from '../../src/commands/commandService.ts'
import { createKeyReuse } from '../../src/commands/keyReuse.ts'
import { newStreamQueue, type PendingCommand, type StreamQueue } from '../../src/commands/streamQueue.ts'
import type { AppendOutcome } from '../../src/eventlog/eventLog.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { FairShare } from '../../src/runtime/fairShare.ts'
import { open } from './node.ts'

const opened: Accepted = { kind: 'accepted', outcome: 'opened', opened: true, events: [], state: stateAt(0n) }

function stateAt(revision: bigint): OperationState {
  return { id: 'op-1', revision } as OperationState
}

const share = new FairShare(100)

function pending(key: string): PendingCommand {
  return {
    command: open('op-1', key),
    group: undefined,
    owner: 'somebody',
    lease: share.hold('somebody', 1),
    bytesLease: share.hold('somebody', 1),
    arrival: 1,
    arrivedMs: 0,
    resolve: () => undefined,
    reject: () => undefined,
    answered: false,
    conflicts: 0,
    pipeline: undefined,
    recorded: null,
  }
}

const appended = (revision: bigint): AppendOutcome => ({ kind: 'appended', revision, position: revision + 100n })
const conflict: AppendOutcome = { kind: 'conflict', actualRevision: 9n }
const untried: AppendOutcome = { kind: 'untried' }

interface Case {
  readonly queue: StreamQueue
  readonly pendingCommands: readonly PendingCommand[]
  readonly settle: (outcomes: readonly AppendOutcome[], offset?: number, arrival?: number) => readonly string[]
}

/** A chain of one append for each pending, the queue at revision -1. */
function chainOf(count: number, answer?: (index: number) => ChainAnswer): Case {
  const queue = newStreamQueue('op-1', 'operation-op-1')
  queue.knowledge = 'assumedAbsent'
  const pendingCommands = Array.from({ length: count }, (_, index) => pending(`key-${index}`))
  const appends = pendingCommands.map(
    (owner, index): ChainedAppend => ({
      request: { stream: queue.stream, expectedRevision: BigInt(index) - 1n, events: [] },
      stateAfter: stateAt(BigInt(index)),
      owner: { pending: owner, accepted: opened },
    }),
  )
  const commands = pendingCommands.map((of, append) => ({
    pending: of,
    append,
    answer: answer?.(append) ?? ({ kind: 'own' } as const),
  }))
  return settling({ queue, appends, commands }, pendingCommands)
}

function settling(chain: CommandChain, pendingCommands: readonly PendingCommand[]): Case {
  const said: string[] = []
  const note = (of: PendingCommand, text: string): void => {
    of.answered = true
    said.push(`${of.command.key} ${text}`)
  }
  return {
    queue: chain.queue,
    pendingCommands,
    settle(outcomes, offset = 0, arrival = 7) {
      applyOutcomes(chain, outcomes, offset, arrival, {
        answer: (of, result) => note(of, textOf(result)),
        fail: (of, code) => note(of, code),
        keyReuse: createKeyReuse(),
        conflictsMax: 2,
        receiptsMax: 10,
      })
      return said
    },
  }
}

function textOf(result: CommandResult): string {
  if (result.kind === 'accepted') return `${result.outcome} ${result.revision}@${result.position}`
  return result.kind === 'refused' ? `${result.refusal.code}: ${result.refusal.detail}` : result.failure.code
}

const keysOf = (pendingCommands: readonly PendingCommand[]) => pendingCommands.map(({ command }) => command.key)

describe('a chain that was appended', () => {
  it('moves the queue on to its last append, confirmed for all that had come when it was sent', () => {
    const { queue, settle } = chainOf(2)
    expect(settle([appended(0n), appended(1n)])).toEqual(['key-0 opened 0@100', 'key-1 opened 1@101'])
    expect(queue).toMatchObject({ knowledge: 'confirmed', confirmedAfter: 7, state: stateAt(1n), position: 101n })
    expect([...queue.receipts.recent.keys()]).toEqual(['key-0', 'key-1'])
    expect(queue.waiting).toEqual([])
  })

  it('is read from its own place in the outcomes of the batch', () => {
    const outcomes = [conflict, untried, appended(0n), appended(1n), conflict]
    expect(chainOf(2).settle(outcomes, 2)).toEqual(['key-0 opened 0@100', 'key-1 opened 1@101'])
  })

  it('leaves a caller alone whose time was up meanwhile', () => {
    const { pendingCommands, settle, queue } = chainOf(2)
    for (const late of pendingCommands.slice(0, 1)) late.answered = true
    expect(settle([appended(0n), conflict])).toEqual([])
    expect(keysOf(queue.waiting)).toEqual(['key-1'])
  })
})

describe('a chain that ends at a append', () => {
  it('in the midst of a batch: what came before is answered, the rest waits in front of what came since', () => {
    const { queue, settle } = chainOf(3)
    queue.waiting = [pending('later')]
    const outcomes = [appended(5n), appended(6n), appended(0n), conflict, untried, appended(8n), appended(9n)]
    expect(settle(outcomes, 2)).toEqual(['key-0 opened 0@100'])
    expect(queue).toMatchObject({ knowledge: 'unknown', state: stateAt(0n), position: 100n })
    expect(keysOf(queue.waiting)).toEqual(['key-1', 'key-2', 'later'])
    expect(queue.waiting.map(({ conflicts, recorded }) => [conflicts, recorded])).toEqual([
      [1, undefined],
      [0, undefined],
      [0, null],
    ])
  })

  it('at the first one says nothing about the state', () => {
    const { queue, settle } = chainOf(1)
    queue.confirmedAfter = 3
    expect(settle([conflict])).toEqual([])
    expect(queue).toMatchObject({ knowledge: 'unknown', confirmedAfter: 3, state: null, position: 0n })
  })

  it('that has lost its revision too often is answered, and no sooner', () => {
    const { pendingCommands, settle, queue } = chainOf(2)
    for (const loser of pendingCommands) loser.conflicts = 1
    expect(settle([conflict, untried])).toEqual([])
    queue.waiting = []
    expect(settle([conflict, untried])).toEqual(['key-0 contention'])
    expect(keysOf(queue.waiting)).toEqual(['key-1'])
  })

  it.each([
    ['too_large', 'What this command would append is larger than one append may be'],
    ['invalid', 'This command holds a value that the log cannot store'],
  ] as const)(
    'that the log would not hold (%s): its command is refused, the queue is as well known as before',
    (reason, detail) => {
      const { queue, settle } = chainOf(3)
      expect(settle([appended(0n), { kind: 'rejected', reason }, untried])).toEqual([
        'key-0 opened 0@100',
        `key-1 ${reason}: ${detail}`,
      ])
      expect(queue).toMatchObject({ knowledge: 'confirmed', state: stateAt(0n) })
      expect(keysOf(queue.waiting)).toEqual(['key-2'])
    },
  )

  it('whose outcome is unknown: its own caller is told so, the rest is decided again', () => {
    const { queue, settle } = chainOf(2)
    expect(settle([{ kind: 'unknown' }, untried])).toEqual(['key-0 outcome_unknown'])
    expect(keysOf(queue.waiting)).toEqual(['key-1'])
  })

  it('with the log away: all that were surely not taken are told so, and none is decided again', () => {
    const { queue, settle } = chainOf(3)
    expect(settle([{ kind: 'unavailable' }, { kind: 'unknown' }, untried])).toEqual([
      'key-0 log_unavailable',
      'key-1 outcome_unknown',
      'key-2 log_unavailable',
    ])
    expect(queue.waiting).toEqual([])
  })

  it('is found at its own place in the outcomes of the batch', () => {
    const outcomes = [conflict, conflict, appended(0n), { kind: 'unavailable' }, untried] as const
    expect(chainOf(3).settle(outcomes, 2)).toEqual([
      'key-0 opened 0@100',
      'key-1 log_unavailable',
      'key-2 log_unavailable',
    ])
  })
})

describe('an answer without an append of its own', () => {
  const rests: readonly ChainAnswer[] = [
    { kind: 'own' },
    { kind: 'receipt' },
    { kind: 'nothing', accepted: { ...opened, outcome: 'ignored' }, rests: 'after' },
    { kind: 'refused', refusal: { code: 'operation_exists', detail: 'is there' } },
  ]

  function resting(): Case {
    const queue = newStreamQueue('op-1', 'operation-op-1')
    const pendingCommands = rests.map((_, index) => pending(index === 1 ? 'key-0' : `key-${index}`))
    const [first] = pendingCommands
    if (first === undefined) throw new Error('no pending')
    const request = { stream: queue.stream, expectedRevision: 'noStream' as const, events: [] }
    const appends = [{ request, stateAfter: stateAt(0n), owner: { pending: first, accepted: opened } }]
    const commands = rests.map((answer, index) => ({ pending: pendingCommands[index] ?? first, append: 0, answer }))
    return settling({ queue, appends, commands }, pendingCommands)
  }

  it('is given once the append it rests on is on disk', () => {
    expect(resting().settle([appended(0n)])).toEqual([
      'key-0 opened 0@100',
      'key-0 opened 0@100',
      'key-2 ignored 0@100',
      'key-3 operation_exists: is there',
    ])
  })

  it('is decided again when that append is not', () => {
    const { settle, queue } = resting()
    expect(settle([conflict])).toEqual([])
    expect(keysOf(queue.waiting)).toEqual(['key-0', 'key-0', 'key-2', 'key-3'])
  })

  it('rests on the state before the chain, which a check proves: the log need not tell the position', () => {
    const queue = newStreamQueue('op-1', 'operation-op-1')
    queue.state = stateAt(4n)
    queue.position = 55n
    const asked = pending('key-0')
    const request = { stream: queue.stream, expectedRevision: 4n, events: [] }
    const answer: ChainAnswer = { kind: 'nothing', accepted: { ...opened, outcome: 'ignored' }, rests: 'before' }
    const chain: CommandChain = {
      queue,
      appends: [{ request, stateAfter: queue.state, owner: null }],
      commands: [{ pending: asked, append: 0, answer }],
    }
    expect(settling(chain, [asked]).settle([{ kind: 'appended', revision: 4n, position: 0n }])).toEqual([
      'key-0 ignored 4@55',
    ])
    expect(queue).toMatchObject({ knowledge: 'confirmed', position: 55n, state: stateAt(4n) })
  })
})
