import { expect, test } from 'vitest'
import { addKey, emptyKeyFilter, mayHold } from '../../src/commands/keyFilter.ts'
import { emptyReceipts, forgetOldReceipts, mayBeForgotten, rememberReceipt } from '../../src/commands/receipts.ts'
import { LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { wholeLog } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, holding, open, report, until } from './node.ts'

test('duplicates that come together are one append and one answer', async () => {
  const node = createNode()
  const same = report('op-1', 'key-1', 'read', { pipeline: 'any' })
  const results = await Promise.all(Array.from({ length: 50 }, () => node.commands.submit(same)))
  for (const result of results) expect(result).toEqual(results[0])
  expect((await wholeLog(node.log)).length).toBe(2)
})

test('a duplicate of one in flight waits for it', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  let release = (): void => undefined
  node.log.beforeAppend = () =>
    new Promise((resolve) => {
      release = resolve
    })
  const first = node.commands.submit(report('op-1', 'key-1', 'read'))
  await until(() => node.log.appends.length === 2)
  let answered = false
  const second = node.commands.submit(report('op-1', 'key-1', 'read')).then((result) => {
    answered = true
    return result
  })
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  expect(answered).toBe(false)
  release()
  expect(await second).toEqual(await first)
  expect(node.log.appends.length).toBe(2)
})

test('the same key with another request is refused, in the same batch, later, and on another node', async () => {
  const node = createNode()
  const other = createNode(node.log)
  const results = await Promise.all([
    node.commands.submit(open('op-1', 'key-1')),
    node.commands.submit(open('op-1', 'key-1', { theme: 'else' })),
  ])
  expect(results.map(codeOf)).toEqual(['accepted', 'key_reused'])
  expect(results[1]).toEqual({
    kind: 'refused',
    operation: 'op-1',
    key: 'key-1',
    refusal: { code: 'key_reused', detail: expect.stringContaining('another request on this operation') },
  })
  expect(codeOf(await node.commands.submit(report('op-1', 'key-1', 'read')))).toBe('key_reused')
  expect(codeOf(await other.commands.submit(report('op-1', 'key-1', 'read')))).toBe('key_reused')
  expect((await wholeLog(node.log)).length).toBe(1)
})

test('keys are scoped to their operation', async () => {
  const node = createNode()
  const results = await Promise.all(['a', 'b'].map((id) => node.commands.submit(open(id, 'key-1'))))
  expect(results.map((result) => accepted(result).operation)).toEqual(['a', 'b'])
})

test('a duplicate more than a thousand keys old gets the first receipt, in the old and in a new memory', async () => {
  const node = createNode()
  const first = await node.commands.submit(report('op-1', 'first', 'read', { pipeline: 'any' }))
  for (let from = 0; from < 2_500; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, n) => node.commands.submit(report('op-1', `key-${from + n}`, `s${n}`))),
    )
  }
  const fresh = createNode(node.log)
  for (const { commands } of [node, fresh]) {
    expect(await commands.submit(report('op-1', 'first', 'read', { pipeline: 'any' }))).toEqual(first)
    expect(codeOf(await commands.submit(report('op-1', 'first', 'other', { pipeline: 'any' })))).toBe('key_reused')
    const middle = accepted(await commands.submit(report('op-1', 'key-700', 's200')))
    expect(middle).toMatchObject({ outcome: 'applied', opened: false, revision: 702n })
  }
  expect((await wholeLog(node.log)).length).toBe(2_502)
})

test('an old receipt carries the revision of its last released event', async () => {
  const node = createNode(undefined, { receiptsMax: 3 })
  await definePipeline(node, 'invoice', holding)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const held = await node.commands.submit(report('op-1', 'early', 'checked'))
  const released = accepted(await node.commands.submit(report('op-1', 'due', 'read')))
  expect(released.revision).toBe(3n)
  for (let n = 0; n < 10; n += 1) {
    accepted(await node.commands.submit(report('op-1', `more-${n}`, 'checked', { data: { n } })))
  }
  expect(await node.commands.submit(report('op-1', 'early', 'checked'))).toEqual(held)
  expect(await node.commands.submit(report('op-1', 'due', 'read'))).toEqual(released)
})

test('a burst of old duplicates among new commands', async () => {
  const node = createNode(undefined, { receiptsMax: 10 })
  accepted(await node.commands.submit(open('op-1', 'open')))
  const send = (n: number) => node.commands.submit(report('op-1', `key-${n}`, `s${n}`))
  const firsts = await Promise.all(Array.from({ length: 300 }, (_, n) => send(n)))
  const mixed = await Promise.all(Array.from({ length: 600 }, (_, n) => send(n % 2 === 0 ? n / 2 : 300 + n)))
  for (const [n, result] of mixed.entries()) {
    if (n % 2 === 0) expect(result).toEqual(firsts[n / 2])
    else expect(codeOf(result)).toBe('accepted')
  }
  expect((await wholeLog(node.log)).length).toBe(1 + 300 + 300)
})

test('new keys on an operation with a long history cost no question to the log', async () => {
  const node = createNode(undefined, { receiptsMax: 10 })
  accepted(await node.commands.submit(open('op-1', 'open')))
  const send = (n: number) => node.commands.submit(report('op-1', `key-${n}`, `s${n}`))
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => send(n)))
  const reads = node.log.seen.reads
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => send(1_000 + n)))
  expect(node.log.seen.reads - reads).toBeLessThan(50)
})

test('the filter of forgotten keys holds all it was given, and few others', () => {
  const filter = emptyKeyFilter()
  for (let n = 0; n < 50_000; n += 1) addKey(filter, `key-${n}`)
  const held = (from: number) => Array.from({ length: 50_000 }, (_, n) => mayHold(filter, `key-${from + n}`))
  expect(held(0).every((holds) => holds)).toBe(true)
  expect(held(50_000).filter((holds) => holds).length).toBeLessThan(1_500)
})

test('an old receipt that cannot be asked for: its command is told so, new keys go on', async () => {
  const node = createNode(undefined, { receiptsMax: 1 })
  accepted(await node.commands.submit(open('op-1', 'open')))
  for (const key of ['a', 'b', 'c']) accepted(await node.commands.submit(report('op-1', key, key)))
  const plain = { ...node.log }
  Object.assign(node.log, { readEvent: () => Promise.reject(new LogUnavailableError('planted')) })
  const [old, fresh] = await Promise.all([
    node.commands.submit(report('op-1', 'a', 'a')),
    node.commands.submit(report('op-1', 'd', 'd')),
  ])
  expect(codeOf(old)).toBe('log_unavailable')
  expect(accepted(fresh).revision).toBe(4n)
  Object.assign(node.log, plain)
  expect(accepted(await node.commands.submit(report('op-1', 'a', 'a'))).revision).toBe(1n)
})

test('the last receipts are kept, as many as there may be', () => {
  const receipts = emptyReceipts()
  const receipt = { actor: 'a', requestHash: '', outcome: 'applied', reason: undefined, opened: false } as const
  for (const key of ['a', 'b', 'c', 'd']) rememberReceipt(receipts, key, { ...receipt, revision: 0n, position: 1n }, 3)
  expect([...receipts.recent.keys()]).toEqual(['b', 'c', 'd'])
  forgetOldReceipts(receipts, 1)
  expect([...receipts.recent.keys()]).toEqual(['d'])
  expect(['a', 'b', 'c', 'd'].map((key) => mayBeForgotten(receipts, key))).toEqual([true, true, true, false])
})
