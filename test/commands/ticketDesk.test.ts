import { expect, test, vi } from 'vitest'
import { defaultCommandLimits } from '../../src/commands/commandLimits.ts'
import type { CommandGroup } from '../../src/commands/commandService.ts'
import type { Ticket } from '../../src/commands/lane.ts'
import { createTicketDesk } from '../../src/commands/ticketDesk.ts'
import { open } from './node.ts'

const documentsOf = (length: number) => ({ data: { text: 'x'.repeat(length) } })

function createDesk(limits: Partial<typeof defaultCommandLimits> = {}) {
  const desk = createTicketDesk({ ...defaultCommandLimits, ...limits }, () => 5)
  function take(key: string, group?: CommandGroup, body: Parameters<typeof open>[2] = {}) {
    const [resolve, reject] = [vi.fn(), vi.fn()]
    return { ticket: desk.take(open('op-1', key, body), group, resolve, reject), resolve, reject }
  }
  return { desk, take }
}

const taken = ({ ticket }: { readonly ticket: Ticket | null }) => ticket ?? expect.unreachable()

test('a ticket is answered once, whatever comes after', async () => {
  const { desk, take } = createDesk()
  const bugged = take('key-1')
  const answered = take('key-2')
  desk.failWithBug(taken(bugged), 'a bug')
  desk.fail(taken(bugged), 'outcome_unknown')
  desk.failWithBug(taken(bugged), 'another')
  desk.fail(taken(answered), 'outcome_unknown')
  desk.failWithBug(taken(answered), 'a bug')
  desk.fail(taken(answered), 'outcome_unknown')
  expect(bugged.reject.mock.calls).toEqual([['a bug']])
  expect(bugged.resolve).not.toHaveBeenCalled()
  expect(answered.resolve).toHaveBeenCalledTimes(1)
  expect(answered.reject).not.toHaveBeenCalled()
  expect([desk.open(), desk.unknownOutcomes(), desk.arrivals()]).toEqual([0, 1, 2])
  expect(taken(answered)).toMatchObject({ arrival: 2, arrivedMs: 5 })
})

test('room is given back with each answer, to the byte', () => {
  const { desk, take } = createDesk({ queuedBytesMax: 2 * (500 + 32 + 16 + 4 + 16 + 1_000) })
  for (let round = 0; round < 5; round += 1) {
    const tickets = ['a', 'b'].map((key) => taken(take(key, undefined, documentsOf(1_000))))
    expect(take('one-more').ticket).toBeNull()
    for (const ticket of tickets) desk.failWithBug(ticket, 'a bug')
  }
  expect(take('too-large', undefined, documentsOf(10_000)).ticket).toBeNull()
  expect(take('a', undefined, { metadata: documentsOf(10_000).data }).ticket).toBeNull()
})

test('a group knows the first of an operation’s commands that failed, in whichever order they fail', () => {
  const { desk, take } = createDesk({ queuedCommandsMax: 3 })
  const group = { failed: new Map<string, number>() }
  const [one, two, three] = ['1', '2', '3'].map((key) => taken(take(key, group)))
  expect(take('4', group).ticket).toBeNull()
  expect(group.failed.get('op-1')).toBe(4)
  desk.fail(two ?? expect.unreachable(), 'contention')
  expect(group.failed.get('op-1')).toBe(2)
  desk.failWithBug(three ?? expect.unreachable(), 'a bug')
  expect(group.failed.get('op-1')).toBe(2)
  desk.fail(one ?? expect.unreachable(), 'contention')
  expect(group.failed.get('op-1')).toBe(1)
  const later = take('5', group)
  expect(later.resolve.mock.calls).toMatchObject([[{ key: '5', failure: { code: 'not_tried', retryAfterS: 1 } }]])
})

test('it closes once the last one is answered, and takes none meanwhile', async () => {
  const { desk, take } = createDesk()
  const one = take('key-1')
  expect(desk.enter()).toBe(true)
  let closed = false
  const closing = desk.close().then(() => {
    closed = true
  })
  expect(desk.enter()).toBe(false)
  expect(take('key-2').ticket).toBeNull()
  desk.leave()
  await Promise.resolve()
  expect(closed).toBe(false)
  desk.fail(taken(one), 'log_unavailable')
  await closing
  await desk.close()
})
