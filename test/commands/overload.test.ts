import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createGate } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, open, report, until } from './node.ts'

test('a full queue answers overloaded at once, and takes commands again when it has room', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 100 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const taken = Array.from({ length: 100 }, (_, n) => node.commands.submit(open(`op-${n}`, 'open')))
  expect(await node.commands.submit(open('one-more', 'open'))).toMatchObject({
    kind: 'failed',
    operation: 'one-more',
    key: 'open',
    failure: { code: 'overloaded', retryAfterS: 1 },
  })
  expect(node.commands.metrics.inFlight()).toBe(100)
  gate.open()
  expect((await Promise.all(taken)).map(codeOf)).toEqual(taken.map(() => 'accepted'))
  expect(codeOf(await node.commands.submit(open('one-more', 'open')))).toBe('accepted')
})

test('the queue is bounded by bytes as well', async () => {
  const node = createNode(undefined, { queuedBytesMax: 100_000 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const results = Array.from({ length: 20 }, (_, n) =>
    node.commands.submit(open(`op-${n}`, 'open', { data: { text: 'x'.repeat(20_000) } })),
  )
  gate.open()
  const codes = (await Promise.all(results)).map(codeOf)
  expect(codes.filter((code) => code === 'accepted').length).toBe(4)
  expect(codes.filter((code) => code === 'overloaded').length).toBe(16)
})

test('memory stays flat while a stalled log is sent far more than the queue holds', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 1_000 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const taken: Promise<unknown>[] = []
  let overloaded = 0
  const flood = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const result = node.commands.submit(open(`op-${n}`, 'open', { data: { text: 'x'.repeat(500) } }))
      if (node.commands.metrics.inFlight() < 1_000) taken.push(result)
      else if (codeOf(await Promise.race([result, Promise.resolve(pending)])) === 'overloaded') overloaded += 1
    }
  }
  await flood(5_000)
  const before = heapUsed()
  await flood(50_000)
  expect(overloaded).toBeGreaterThan(50_000)
  // 50,000 such commands kept would take more than 60 MB.
  expect(heapUsed() - before).toBeLessThan(30 * 1024 * 1024)
  gate.open()
  await Promise.all(taken)
})

/** Of what is still referred to. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

const pending = {
  kind: 'failed',
  operation: '',
  key: '',
  failure: { code: 'log_unavailable', retryAfterS: 0 },
} as const

test('a log that is too slow: what was not sent in time is answered overloaded, what was sent is answered by the log', async () => {
  const elapsed = { ms: 0 }
  const node = createNode(undefined, { waitMsMax: 5_000 }, { monotonicMs: () => elapsed.ms })
  for (const id of ['a', 'b', 'c']) accepted(await node.commands.submit(open(id, 'open')))
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const sent: Promise<unknown>[] = []
  for (const [n, id] of ['a', 'b'].entries()) {
    sent.push(node.commands.submit(report(id, 'key-1', 'read')))
    await until(() => node.log.appends.length === 3 + n + 1)
  }
  const waiting = ['a', 'c'].map((id) => node.commands.submit(report(id, 'key-2', 'checked')))
  elapsed.ms = 4_000
  const younger = node.commands.submit(report('c', 'key-3', 'checked'))
  elapsed.ms = 5_001
  expect((await Promise.all(waiting)).map(codeOf)).toEqual(['overloaded', 'overloaded'])
  gate.open()
  for (const result of await Promise.all([...sent, younger])) expect(result).toMatchObject({ kind: 'accepted' })
})

test('an adapter that never settles: the outcome is unknown, and the operation waits for it', async () => {
  const elapsed = { ms: 0 }
  const node = createNode(undefined, { confirmMsMax: 30_000, waitMsMax: 5_000 }, { monotonicMs: () => elapsed.ms })
  accepted(await node.commands.submit(open('op-1', 'open')))
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const hanging = node.commands.submit(report('op-1', 'key-1', 'read'))
  await until(() => node.log.appends.length === 2)
  elapsed.ms = 30_001
  expect(codeOf(await hanging)).toBe('outcome_unknown')
  const behind = node.commands.submit(report('op-1', 'key-1', 'read'))
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  // Nothing of this operation may be sent while the first may still land.
  expect(node.log.appends.length).toBe(2)
  gate.open()
  expect(accepted(await behind)).toMatchObject({ revision: 1n })
})

test('loads are bounded in number and run at the same time', async () => {
  const writer = createNode()
  for (let n = 0; n < 40; n += 1) accepted(await writer.commands.submit(open(`op-${n}`, 'open')))
  const node = createNode(writer.log, { loadsMax: 8 })
  let reading = 0
  let readingMax = 0
  node.log.beforeRead = async () => {
    reading += 1
    readingMax = Math.max(readingMax, reading)
    await new Promise((resolve) => setImmediate(resolve))
    reading -= 1
  }
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, n) => node.commands.submit(report(`op-${n}`, 'key-1', 'read'))),
  )
  expect(results.map(codeOf)).toEqual(results.map(() => 'accepted'))
  expect(readingMax).toBe(8)
})

test('a group that is larger than the queue gets on: what came before its overloaded command is tried', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 2 })
  const group = { failed: new Map<string, number>() }
  const keys = ['first', 'second', 'third', 'fourth']
  const results = await Promise.all(keys.map((key) => node.commands.submit(open('op-1', key), group)))
  expect(results.map(codeOf)).toEqual(['accepted', 'operation_exists', 'overloaded', 'not_tried'])
})

test('an owner that fills the queue keeps no other out: the other is taken, and is in the next batch', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 100, batchCommandsMax: 10 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const flood = Array.from({ length: 100 }, (_, n) =>
    node.commands.submit(open(`flood-${n}`, 'open'), undefined, 'flooder'),
  )
  await until(() => node.log.appends.length === 2)
  const others = ['a', 'b'].map((id) => node.commands.submit(open(id, 'open'), undefined, 'other'))
  expect(node.commands.metrics.queued().commands).toEqual({ max: 100, taken: 100, refused: 0, reclaimed: 2 })
  // Two batches of ten are in the log: the oldest that is not sent makes room.
  expect((await Promise.all(flood.slice(20, 22))).map(codeOf)).toEqual(['overloaded', 'overloaded'])
  gate.open()
  expect((await Promise.all(others)).map(codeOf)).toEqual(['accepted', 'accepted'])
  const third = node.log.appends[2]?.map(({ stream }) => stream) ?? []
  expect(third.slice(0, 4)).toEqual(expect.arrayContaining(['operation-a', 'operation-b']))
  const codes = (await Promise.all(flood)).map(codeOf)
  expect(codes.filter((code) => code === 'accepted')).toHaveLength(98)
  // What was not taken is sent again.
  expect(codeOf(await node.commands.submit(open('flood-20', 'open'), undefined, 'flooder'))).toBe('accepted')
})

test('however many commands wait for one operation, those that made room for another owner are gone from it', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 10 })
  accepted(await node.commands.submit(open('hot', 'open')))
  const flood = Array.from({ length: 10 }, (_, n) =>
    node.commands.submit(report('hot', `key-${n}`, 'read'), undefined, 'flooder'),
  )
  const other = Array.from({ length: 5 }, (_, n) =>
    node.commands.submit(open(`other-${n}`, 'open'), undefined, 'other'),
  )
  const codes = (await Promise.all(flood)).map(codeOf)
  expect(codes.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'overloaded'))
  expect(codes.slice(5)).not.toContain('overloaded')
  expect((await Promise.all(other)).map(codeOf)).toEqual(other.map(() => 'accepted'))
  expect(node.commands.metrics.inFlight()).toBe(0)
})
