import { expect, test } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { after } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, linear, open, report } from './node.ts'

async function twoNodes(limits = {}) {
  const log = createMemoryEventLog()
  const one = createNode(log, limits)
  const two = createNode(log, limits)
  await definePipeline(one, 'invoice', linear)
  accepted(await one.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  return { log, one, two }
}

// correctness.md row 3: without chains the second link would be accepted on a state that never was.
test('another node slips one event under a chain: every link of it is decided again on what the stream now holds', async () => {
  const { log, one, two } = await twoNodes()
  one.log.failNextAppend(after(async () => accepted(await two.commands.submit(report('op-1', 'other', 'read')))))
  const results = await Promise.all([
    one.commands.submit(report('op-1', 'key-1', 'read', { data: { from: 'one' } })),
    one.commands.submit(report('op-1', 'key-2', 'checked')),
    one.commands.submit(report('op-1', 'key-3', 'read')),
    one.commands.submit(report('op-1', 'key-4', 'done')),
  ])
  // key-1 found `read` taken, and only its data was new; key-3 was refused on the truth, as it would have been before.
  expect(results.map(codeOf)).toEqual(['accepted', 'accepted', 'transition_not_allowed', 'accepted'])
  expect(results.map((result) => (result.kind === 'accepted' ? result.revision : null))).toEqual([2n, 3n, null, 4n])
  const events = await log.readStream('operation-op-1', { maxCount: 100 })
  expect(events.map((event) => event.type)).toEqual([
    'OperationOpened',
    'StatusChanged',
    'DataMerged',
    'StatusChanged',
    'StatusChanged',
  ])
  expect(verifyStream(events).kind).toBe('intact')
})

test('after a conflict only the new events are read', async () => {
  const { one, two } = await twoNodes()
  accepted(await two.commands.submit(report('op-1', 'other', 'read')))
  const reads = one.log.seen.reads
  expect(accepted(await one.commands.submit(report('op-1', 'key-1', 'checked'))).revision).toBe(2n)
  expect(one.log.seen.reads).toBe(reads + 1)
})

test('a refusal on a stale memory is decided again on the truth', async () => {
  const { one, two } = await twoNodes()
  expect((await two.commands.load('op-1'))?.state.revision).toBe(0n)
  accepted(await one.commands.submit(report('op-1', 'key-1', 'read')))
  // By node two's memory `checked` is two steps ahead.
  expect(two.commands.cached('op-1')?.state.revision).toBe(0n)
  expect(accepted(await two.commands.submit(report('op-1', 'key-2', 'checked')))).toMatchObject({ revision: 2n })
})

test('a duplicate is not taken from a stale memory either', async () => {
  const { one, two } = await twoNodes()
  accepted(await one.commands.submit(report('op-1', 'key-1', 'read')))
  await two.commands.load('op-1')
  accepted(await one.commands.submit(report('op-1', 'key-2', 'checked')))
  // On node two's memory `read` is current and nothing would be appended; in truth it is behind.
  expect(codeOf(await two.commands.submit(report('op-1', 'key-3', 'read')))).toBe('transition_not_allowed')
})

test('commands that came while a failed chain was under way are decided after it', async () => {
  const { one, two } = await twoNodes()
  const later: Promise<unknown>[] = []
  one.log.failNextAppend(
    after(async () => {
      later.push(one.commands.submit(report('op-1', 'key-3', 'done')))
      accepted(await two.commands.submit(report('op-1', 'other', 'read', { data: { a: 1 } })))
    }),
  )
  const first = one.commands.submit(report('op-1', 'key-1', 'read', { data: { a: 2 } }))
  const second = one.commands.submit(report('op-1', 'key-2', 'checked'))
  expect(await first).toMatchObject({ outcome: 'applied', revision: 2n })
  expect(await second).toMatchObject({ outcome: 'applied', revision: 3n })
  expect(await later[0]).toMatchObject({ outcome: 'applied', revision: 4n })
})

test('a conflict on one operation fails no other one of its batch', async () => {
  const { one, two } = await twoNodes()
  accepted(await one.commands.submit(open('op-2', 'open', { pipeline: 'invoice' })))
  one.log.failNextAppend(after(async () => accepted(await two.commands.submit(report('op-1', 'other', 'read')))))
  const results = await Promise.all([
    one.commands.submit(report('op-1', 'key-1', 'checked')),
    one.commands.submit(report('op-2', 'key-1', 'read')),
  ])
  expect(results.map(codeOf)).toEqual(['accepted', 'accepted'])
  // One batch, and one more for the one that lost.
  expect(one.log.appends.slice(-2).map((batch) => batch.length)).toEqual([2, 1])
})

test('a command that keeps losing is answered contention, and the next one gets its turn', async () => {
  const { log, one, two } = await twoNodes({ conflictsMax: 3 })
  accepted(await one.commands.submit(open('busy', 'open')))
  for (let n = 0; n < 4; n += 1) {
    one.log.failNextAppend(
      after(async () => accepted(await two.commands.submit(report('busy', `other-${n}`, `s${n}`)))),
    )
  }
  const results = await Promise.all([
    one.commands.submit(report('busy', 'key-1', 'mine')),
    one.commands.submit(report('busy', 'key-2', 'mine too')),
  ])
  expect(results[0]).toMatchObject({ kind: 'failed', key: 'key-1', failure: { code: 'contention', retryAfterS: 1 } })
  expect(codeOf(results[1])).toBe('accepted')
  const keys = (await log.readStream('operation-busy', { maxCount: 100 })).map(
    (event) => JSON.parse(event.metadata).command,
  )
  expect(keys).toEqual(['open', 'other-0', 'other-1', 'other-2', 'other-3', 'key-2'])
})

test('an open that lost to another node under the same key gets the first receipt', async () => {
  const log = createMemoryEventLog()
  const one = createNode(log)
  const two = createNode(log)
  const first = accepted(await two.commands.submit(open('op-1', 'key-1')))
  expect(await one.commands.submit(open('op-1', 'key-1'))).toEqual(first)
})
