import { describe, expect, it } from 'vitest'
import type { Accepted, Chain, ChainAnswer, Link } from '../../src/commands/chain.ts'
import type { CommandResult } from '../../src/commands/commandService.ts'
import { createKeyReuse } from '../../src/commands/keyReuse.ts'
import { type Lane, newLane, type Ticket } from '../../src/commands/lane.ts'
import { settleChain } from '../../src/commands/settleChain.ts'
import type { AppendOutcome } from '../../src/eventlog/eventLog.ts'
import type { OperationState } from '../../src/operation/state.ts'
import { open } from './node.ts'

const opened: Accepted = { kind: 'accepted', outcome: 'opened', opened: true, events: [], state: stateAt(0n) }

function stateAt(revision: bigint): OperationState {
  return { id: 'op-1', revision } as OperationState
}

function ticket(key: string): Ticket {
  return {
    command: open('op-1', key),
    group: undefined,
    bytes: 0,
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
  readonly lane: Lane
  readonly tickets: readonly Ticket[]
  readonly settle: (outcomes: readonly AppendOutcome[], offset?: number, arrival?: number) => readonly string[]
}

/** A chain of one append for each ticket, the lane at revision -1. */
function chainOf(count: number, answer?: (index: number) => ChainAnswer): Case {
  const lane = newLane('op-1', 'operation-op-1')
  lane.knowledge = 'assumedAbsent'
  const tickets = Array.from({ length: count }, (_, index) => ticket(`key-${index}`))
  const links = tickets.map(
    (owner, index): Link => ({
      request: { stream: lane.stream, expectedRevision: BigInt(index) - 1n, events: [] },
      stateAfter: stateAt(BigInt(index)),
      owner: { ticket: owner, accepted: opened },
    }),
  )
  const entries = tickets.map((of, link) => ({
    ticket: of,
    link,
    answer: answer?.(link) ?? ({ kind: 'own' } as const),
  }))
  return settling({ lane, links, entries }, tickets)
}

function settling(chain: Chain, tickets: readonly Ticket[]): Case {
  const said: string[] = []
  const note = (of: Ticket, text: string): void => {
    of.answered = true
    said.push(`${of.command.key} ${text}`)
  }
  return {
    lane: chain.lane,
    tickets,
    settle(outcomes, offset = 0, arrival = 7) {
      settleChain(chain, outcomes, offset, arrival, {
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

const keysOf = (tickets: readonly Ticket[]) => tickets.map(({ command }) => command.key)

describe('a chain that was appended', () => {
  it('moves the lane on to its last link, confirmed for all that had come when it was sent', () => {
    const { lane, settle } = chainOf(2)
    expect(settle([appended(0n), appended(1n)])).toEqual(['key-0 opened 0@100', 'key-1 opened 1@101'])
    expect(lane).toMatchObject({ knowledge: 'confirmed', confirmedAfter: 7, state: stateAt(1n), position: 101n })
    expect([...lane.receipts.recent.keys()]).toEqual(['key-0', 'key-1'])
    expect(lane.waiting).toEqual([])
  })

  it('is read from its own place in the outcomes of the batch', () => {
    const outcomes = [conflict, untried, appended(0n), appended(1n), conflict]
    expect(chainOf(2).settle(outcomes, 2)).toEqual(['key-0 opened 0@100', 'key-1 opened 1@101'])
  })

  it('leaves a caller alone whose time was up meanwhile', () => {
    const { tickets, settle, lane } = chainOf(2)
    for (const late of tickets.slice(0, 1)) late.answered = true
    expect(settle([appended(0n), conflict])).toEqual([])
    expect(keysOf(lane.waiting)).toEqual(['key-1'])
  })
})

describe('a chain that ends at a link', () => {
  it('in the midst of a batch: what came before is answered, the rest waits in front of what came since', () => {
    const { lane, settle } = chainOf(3)
    lane.waiting = [ticket('later')]
    const outcomes = [appended(5n), appended(6n), appended(0n), conflict, untried, appended(8n), appended(9n)]
    expect(settle(outcomes, 2)).toEqual(['key-0 opened 0@100'])
    expect(lane).toMatchObject({ knowledge: 'unknown', state: stateAt(0n), position: 100n })
    expect(keysOf(lane.waiting)).toEqual(['key-1', 'key-2', 'later'])
    expect(lane.waiting.map(({ conflicts, recorded }) => [conflicts, recorded])).toEqual([
      [1, undefined],
      [0, undefined],
      [0, null],
    ])
  })

  it('at the first one says nothing about the state', () => {
    const { lane, settle } = chainOf(1)
    lane.confirmedAfter = 3
    expect(settle([conflict])).toEqual([])
    expect(lane).toMatchObject({ knowledge: 'unknown', confirmedAfter: 3, state: null, position: 0n })
  })

  it('that has lost its revision too often is answered, and no sooner', () => {
    const { tickets, settle, lane } = chainOf(2)
    for (const loser of tickets) loser.conflicts = 1
    expect(settle([conflict, untried])).toEqual([])
    lane.waiting = []
    expect(settle([conflict, untried])).toEqual(['key-0 contention'])
    expect(keysOf(lane.waiting)).toEqual(['key-1'])
  })

  it.each([
    ['too_large', 'What this command would append is larger than one append may be'],
    ['invalid', 'This command holds a value that the log cannot store'],
  ] as const)(
    'that the log would not hold (%s): its command is refused, the lane is as well known as before',
    (reason, detail) => {
      const { lane, settle } = chainOf(3)
      expect(settle([appended(0n), { kind: 'rejected', reason }, untried])).toEqual([
        'key-0 opened 0@100',
        `key-1 ${reason}: ${detail}`,
      ])
      expect(lane).toMatchObject({ knowledge: 'confirmed', state: stateAt(0n) })
      expect(keysOf(lane.waiting)).toEqual(['key-2'])
    },
  )

  it('whose outcome is unknown: its own caller is told so, the rest is decided again', () => {
    const { lane, settle } = chainOf(2)
    expect(settle([{ kind: 'unknown' }, untried])).toEqual(['key-0 outcome_unknown'])
    expect(keysOf(lane.waiting)).toEqual(['key-1'])
  })

  it('with the log away: all that were surely not taken are told so, and none is decided again', () => {
    const { lane, settle } = chainOf(3)
    expect(settle([{ kind: 'unavailable' }, { kind: 'unknown' }, untried])).toEqual([
      'key-0 log_unavailable',
      'key-1 outcome_unknown',
      'key-2 log_unavailable',
    ])
    expect(lane.waiting).toEqual([])
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
    const lane = newLane('op-1', 'operation-op-1')
    const tickets = rests.map((_, index) => ticket(index === 1 ? 'key-0' : `key-${index}`))
    const [first] = tickets
    if (first === undefined) throw new Error('no ticket')
    const request = { stream: lane.stream, expectedRevision: 'noStream' as const, events: [] }
    const links = [{ request, stateAfter: stateAt(0n), owner: { ticket: first, accepted: opened } }]
    const entries = rests.map((answer, index) => ({ ticket: tickets[index] ?? first, link: 0, answer }))
    return settling({ lane, links, entries }, tickets)
  }

  it('is given once the link it rests on is on disk', () => {
    expect(resting().settle([appended(0n)])).toEqual([
      'key-0 opened 0@100',
      'key-0 opened 0@100',
      'key-2 ignored 0@100',
      'key-3 operation_exists: is there',
    ])
  })

  it('is decided again when that link is not', () => {
    const { settle, lane } = resting()
    expect(settle([conflict])).toEqual([])
    expect(keysOf(lane.waiting)).toEqual(['key-0', 'key-0', 'key-2', 'key-3'])
  })

  it('rests on the state before the chain, which a check proves: the log need not tell the position', () => {
    const lane = newLane('op-1', 'operation-op-1')
    lane.state = stateAt(4n)
    lane.position = 55n
    const asked = ticket('key-0')
    const request = { stream: lane.stream, expectedRevision: 4n, events: [] }
    const answer: ChainAnswer = { kind: 'nothing', accepted: { ...opened, outcome: 'ignored' }, rests: 'before' }
    const chain: Chain = {
      lane,
      links: [{ request, stateAfter: lane.state, owner: null }],
      entries: [{ ticket: asked, link: 0, answer }],
    }
    expect(settling(chain, [asked]).settle([{ kind: 'appended', revision: 4n, position: 0n }])).toEqual([
      'key-0 ignored 4@55',
    ])
    expect(lane).toMatchObject({ knowledge: 'confirmed', position: 55n, state: stateAt(4n) })
  })
})
