import { expect, test, vi } from 'vitest'
import { createAdmission } from '../../src/commands/admission.ts'
import { defaultCommandLimits } from '../../src/commands/commandLimits.ts'
import type { CommandGroup } from '../../src/commands/commandService.ts'
import type { PendingCommand } from '../../src/commands/streamQueue.ts'
import { open } from './node.ts'

const documentsOf = (length: number) => ({ data: { text: 'x'.repeat(length) } })

function createDesk(limits: Partial<typeof defaultCommandLimits> = {}) {
  const admission = createAdmission({ ...defaultCommandLimits, ...limits }, () => 5)
  function take(key: string, group?: CommandGroup, body: Parameters<typeof open>[2] = {}, owner = 'somebody') {
    const [resolve, reject] = [vi.fn(), vi.fn()]
    return { pending: admission.take(open('op-1', key, body), group, resolve, reject, owner), resolve, reject }
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
  const leave = admission.enter('somebody')
  let closed = false
  const closing = admission.close().then(() => {
    closed = true
  })
  expect(admission.enter('somebody')).toBeNull()
  expect(take('key-2').pending).toBeNull()
  leave?.()
  await Promise.resolve()
  expect(closed).toBe(false)
  admission.fail(taken(one), 'log_unavailable')
  await closing
  await admission.close()
})

test('a full queue is shared: who holds the most makes room, in order of arrival, but for what is sent or of a group', () => {
  const { admission, take } = createDesk({ queuedCommandsMax: 6 })
  const group = { failed: new Map<string, number>() }
  const flood = ['1', '2', '3', '4', '5'].map((key) => take(key, undefined, {}, 'flooder'))
  const grouped = take('6', group, {}, 'flooder')
  admission.sent(taken(flood[0] ?? expect.unreachable()))
  expect(take('7', undefined, {}, 'flooder').pending).toBeNull()
  const others = ['8', '9', '10'].map((key) => taken(take(key, undefined, {}, 'other')))
  expect(flood.map(({ resolve }) => resolve.mock.calls.length)).toEqual([0, 1, 1, 1, 0])
  expect(flood[1]?.resolve.mock.calls).toMatchObject([[{ kind: 'failed', key: '2', failure: { code: 'overloaded' } }]])
  expect(grouped.resolve).not.toHaveBeenCalled()
  expect(take('11', undefined, {}, 'other').pending).toBeNull()
  expect(admission.counts().commands).toEqual({ max: 6, taken: 6, refused: 2, reclaimed: 3 })
  for (const pending of [
    ...others,
    ...[flood[0], flood[4], grouped].map((one) => taken(one ?? expect.unreachable())),
  ]) {
    admission.failWithBug(pending, 'a bug')
  }
  const { commands, bytes } = admission.counts()
  expect([commands.taken, bytes.taken]).toEqual([0, 0])
})

test('their bytes are shared in the same way', () => {
  const { admission, take } = createDesk({ queuedBytesMax: 10_000 })
  const flood = ['1', '2', '3'].map((key) => take(key, undefined, documentsOf(2_500), 'flooder'))
  expect(take('4', undefined, documentsOf(2_500), 'flooder').pending).toBeNull()
  const other = taken(take('5', undefined, documentsOf(2_500), 'other'))
  expect(flood.map(({ resolve }) => resolve.mock.calls.length)).toEqual([1, 0, 0])
  expect(admission.open()).toBe(3)
  admission.fail(other, 'contention')
  expect(admission.counts().bytes.reclaimed).toBe(1)
})
