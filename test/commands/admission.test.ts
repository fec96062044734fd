import { expect, test, vi } from 'vitest'
import { createAdmission } from '../../src/commands/admission.ts'
import { defaultCommandLimits } from '../../src/commands/commandLimits.ts'
import type { CommandGroup } from '../../src/commands/commandService.ts'
import type { PendingCommand } from '../../src/commands/streamQueue.ts'
import { open } from './node.ts'

const documentsOf = (length: number) => ({ data: { text: 'x'.repeat(length) } })

function createDesk(limits: Partial<typeof defaultCommandLimits> = {}) {
  const admission = createAdmission({ ...defaultCommandLimits, ...limits }, () => 5)
  function take(key: string, group?: CommandGroup, body: Parameters<typeof open>[2] = {}) {
    const [resolve, reject] = [vi.fn(), vi.fn()]
    return { pending: admission.take(open('op-1', key, body), group, resolve, reject), resolve, reject }
  }
  return { admission, take }
}

const taken = ({ pending }: { readonly pending: PendingCommand | null }) => pending ?? expect.unreachable()

test('a pending is answered once, whatever comes after', async () => {
  const { admission, take } = createDesk()
  const bugged = take('key-1')
  const answered = take('key-2')
  admission.failWithBug(taken(bugged), 'a bug')
  admission.fail(taken(bugged), 'outcome_unknown')
  admission.failWithBug(taken(bugged), 'another')
  admission.fail(taken(answered), 'outcome_unknown')
  admission.failWithBug(taken(answered), 'a bug')
  admission.fail(taken(answered), 'outcome_unknown')
  expect(bugged.reject.mock.calls).toEqual([['a bug']])
  expect(bugged.resolve).not.toHaveBeenCalled()
  expect(answered.resolve).toHaveBeenCalledTimes(1)
  expect(answered.reject).not.toHaveBeenCalled()
  expect([admission.open(), admission.unknownOutcomes(), admission.arrivals()]).toEqual([0, 1, 2])
  expect(taken(answered)).toMatchObject({ arrival: 2, arrivedMs: 5 })
})

test('room is given back with each answer, to the byte', () => {
  const { admission, take } = createDesk({ queuedBytesMax: 2 * (500 + 32 + 16 + 4 + 16 + 1_000) })
  for (let round = 0; round < 5; round += 1) {
    const pendingCommands = ['a', 'b'].map((key) => taken(take(key, undefined, documentsOf(1_000))))
    expect(take('one-more').pending).toBeNull()
    for (const pending of pendingCommands) admission.failWithBug(pending, 'a bug')
  }
  expect(take('too-large', undefined, documentsOf(10_000)).pending).toBeNull()
  expect(take('a', undefined, { metadata: documentsOf(10_000).data }).pending).toBeNull()
})

test('a group knows the first of an operation’s commands that failed, in whichever order they fail', () => {
  const { admission, take } = createDesk({ queuedCommandsMax: 3 })
  const group = { failed: new Map<string, number>() }
  const [one, two, three] = ['1', '2', '3'].map((key) => taken(take(key, group)))
  expect(take('4', group).pending).toBeNull()
  expect(group.failed.get('op-1')).toBe(4)
  admission.fail(two ?? expect.unreachable(), 'contention')
  expect(group.failed.get('op-1')).toBe(2)
  admission.failWithBug(three ?? expect.unreachable(), 'a bug')
  expect(group.failed.get('op-1')).toBe(2)
  admission.fail(one ?? expect.unreachable(), 'contention')
  expect(group.failed.get('op-1')).toBe(1)
  const later = take('5', group)
  expect(later.resolve.mock.calls).toMatchObject([[{ key: '5', failure: { code: 'not_tried', retryAfterS: 1 } }]])
})

test('it closes once the last one is answered, and takes none meanwhile', async () => {
  const { admission, take } = createDesk()
  const one = take('key-1')
  expect(admission.enter()).toBe(true)
  let closed = false
  const closing = admission.close().then(() => {
    closed = true
  })
  expect(admission.enter()).toBe(false)
  expect(take('key-2').pending).toBeNull()
  admission.leave()
  await Promise.resolve()
  expect(closed).toBe(false)
  admission.fail(taken(one), 'log_unavailable')
  await closing
  await admission.close()
})
