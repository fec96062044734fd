import { expect, onTestFinished, test, vi } from 'vitest'
import { createGate, wholeLog } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, holding, linear, open, report, until } from './node.ts'

test('a report that opens its operation is one append under its key, answered when the log has it', async () => {
  const node = createNode()
  const result = await node.commands.submit(report('op-1', 'key-1', 'read', { pipeline: 'any' }))
  const events = await wholeLog(node.log)
  expect(events.map((event) => event.type)).toEqual(['OperationOpened', 'StatusChanged'])
  expect(result).toStrictEqual({
    kind: 'accepted',
    operation: 'op-1',
    key: 'key-1',
    outcome: 'applied',
    opened: true,
    revision: 1n,
    position: events[1]?.position,
  })
  for (const event of events)
    expect(JSON.parse(event.metadata)).toMatchObject({ command: 'key-1', $causationId: 'key-1' })
  expect(node.commands.cached('op-1')).toMatchObject({ state: { revision: 1n }, position: events[1]?.position })
})

test('many commands on one operation that come together are one chain in one batch', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  const before = node.log.appends.length
  const results = await Promise.all(
    Array.from({ length: 500 }, (_, n) => node.commands.submit(report('op-1', `key-${n}`, `status ${n}`))),
  )
  expect(results.map((result) => accepted(result).revision)).toEqual(results.map((_, n) => BigInt(n + 1)))
  expect(node.log.appends.length).toBe(before + 1)
  expect(node.commands.cached('op-1')?.state.tracks.main?.status).toBe('status 499')
})

test('a batch takes no more commands and bytes than it may, and loses none of the others', async () => {
  const node = createNode(undefined, { batchCommandsMax: 10, batchBytesMax: 20_000 })
  const submitted = Array.from({ length: 100 }, (_, n) =>
    node.commands.submit(
      report(`op-${n % 7}`, `key-${n}`, `s${n}`, { pipeline: 'any', data: { text: 'x'.repeat(3_000) } }),
    ),
  )
  const results = await Promise.all(submitted)
  expect(results.map(codeOf)).toEqual(results.map(() => 'accepted'))
  for (const batch of node.log.appends) {
    expect(batch.length).toBeLessThanOrEqual(10)
    const bytes = batch.flatMap((request) => request.events).reduce((sum, event) => sum + event.data.length, 0)
    expect(bytes).toBeLessThan(20_000 + 10_000)
  }
})

test('at most two batches are in flight, and they share no stream', async () => {
  const node = createNode(undefined, { batchCommandsMax: 20 })
  const submitted = Array.from({ length: 400 }, (_, n) =>
    node.commands.submit(report(`op-${n % 9}`, `key-${n}`, `s${n}`, { pipeline: 'any' })),
  )
  await Promise.all(submitted)
  expect(node.log.seen).toMatchObject({ inFlightMax: 2, sharedStream: false })
})

test('while two batches are being confirmed, the next one gathers', async () => {
  const node = createNode()
  await Promise.all(['a', 'b', 'c', 'd'].map((id) => node.commands.submit(open(id, 'open'))))
  const sent = node.log.appends.length
  const gates: (() => void)[] = []
  node.log.beforeAppend = () => new Promise((resolve) => gates.push(resolve))
  const first = node.commands.submit(report('a', 'k1', 's'))
  await until(() => gates.length === 1)
  const second = node.commands.submit(report('b', 'k1', 's'))
  await until(() => gates.length === 2)
  const rest = ['c', 'd', 'c', 'd', 'a'].map((id, n) => node.commands.submit(report(id, `r${n}`, `s${n}`)))
  await until(() => node.commands.metrics.inFlight() === 7)
  expect(node.log.appends.length).toBe(sent + 2)
  gates[0]?.()
  await first
  await until(() => gates.length === 3)
  // All that had gathered is one batch, that of the confirmed operation too.
  expect(node.log.appends.at(-1)?.length).toBe(5)
  gates[1]?.()
  gates[2]?.()
  await Promise.all([second, ...rest])
})

test('a refusal appends nothing and is proved by a check when it rests on memory', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', linear)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const result = await node.commands.submit(report('op-1', 'key-1', 'done'))
  expect(result).toMatchObject({ kind: 'refused', refusal: { code: 'transition_not_allowed', currentStatus: 'new' } })
  expect(node.log.appends.at(-1)).toEqual([{ stream: 'operation-op-1', expectedRevision: 0n, events: [] }])
  expect((await wholeLog(node.log)).length).toBe(2)
})

test('a refusal rests on a sibling of its batch without a check of its own', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', linear)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const results = await Promise.all(
    ['done', 'read', 'new', 'checked'].map((status, n) => node.commands.submit(report('op-1', `key-${n}`, status))),
  )
  expect(results.map(codeOf)).toEqual(['transition_not_allowed', 'accepted', 'transition_not_allowed', 'accepted'])
  expect(node.log.appends.at(-1)?.map((request) => request.events.length)).toEqual([1, 1])
})

test('a report to an operation that is not there is refused after one read, and takes no memory', async () => {
  const node = createNode()
  expect(codeOf(await node.commands.submit(report('nowhere', 'key-1', 'read')))).toBe('not_found')
  expect(node.log.appends.length).toBe(0)
  expect(node.commands.cached('nowhere')).toBeNull()
})

test('an unknown pipeline, or an unknown version of one, is refused by name', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', linear)
  const unknown = await node.commands.submit(open('op-1', 'key-1', { pipeline: 'invoce' }))
  const detail = 'Pipeline "invoce" is not defined'
  expect(unknown).toMatchObject({ kind: 'refused', refusal: { code: 'not_found', detail } })
  // That there is no such operation either is proved like any state.
  expect(node.log.appends.at(-1)).toEqual([{ stream: 'operation-op-1', expectedRevision: 'noStream', events: [] }])
  expect(await node.commands.submit(open('op-1', 'k2', { pipeline: 'invoice', pipelineVersion: 2 }))).toMatchObject({
    refusal: { code: 'not_found', detail: 'Pipeline "invoice" is not defined in version 2' },
  })
  expect(codeOf(await node.commands.submit(report('op-1', 'k3', 'read', { pipeline: 'no' })))).toBe('not_found')
  expect(codeOf(await node.commands.submit(open('op-1', 'k4', { pipeline: 'invoice', pipelineVersion: 1 })))).toBe(
    'accepted',
  )
})

test('opening an id that exists is refused, also by a node that took it for a new one', async () => {
  const one = createNode()
  const two = createNode(one.log)
  accepted(await one.commands.submit(open('op-1', 'key-1')))
  expect(codeOf(await one.commands.submit(open('op-1', 'key-2')))).toBe('operation_exists')
  expect(codeOf(await two.commands.submit(open('op-1', 'key-3')))).toBe('operation_exists')
})

test('the expected revision holds against the confirmed state, and a retry gets its receipt instead of a 412', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  const conditional = report('op-1', 'key-1', 'read', {}, { expectedRevision: 0n })
  const first = await node.commands.submit(conditional)
  expect(accepted(first).revision).toBe(1n)
  expect(await node.commands.submit(conditional)).toEqual(first)
  expect(await node.commands.submit(report('op-1', 'key-2', 'more', {}, { expectedRevision: 0n }))).toMatchObject({
    refusal: { code: 'revision_mismatch', revision: 1n },
  })
})

test('recordedAt never falls below its predecessor, whatever the clock does', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'key-1')))
  node.time.nowMs -= 60_000
  accepted(await node.commands.submit(report('op-1', 'key-2', 'read')))
  node.time.nowMs += 120_000
  accepted(await node.commands.submit(report('op-1', 'key-3', 'checked')))
  const times = (await wholeLog(node.log)).map((event) => Object(JSON.parse(event.metadata)).recordedAt)
  expect(times).toEqual(['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2026-01-01T00:01:00.000Z'])
})

test('what one append releases counts to its receipt, and the held report keeps its own', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', holding)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const early = report('op-1', 'early', 'checked')
  const due = report('op-1', 'due', 'read')
  const held = accepted(await node.commands.submit(early))
  expect(held).toMatchObject({ outcome: 'held', reason: 'predecessor_missing', revision: 1n })
  const released = accepted(await node.commands.submit(due))
  expect(released).toMatchObject({ outcome: 'applied', revision: 3n })
  const other = createNode(node.log)
  for (const commands of [node.commands, other.commands]) {
    expect(await commands.submit(early)).toEqual(held)
    expect(await commands.submit(due)).toEqual(released)
  }
})

/** Where a report that says nothing new leaves nothing, if nobody could miss it. */
const quiet = { ...linear, recordIgnored: false }
const unkeyed = (key: string, status: string) => ({ ...report('op-1', key, status), keyGenerated: true as const })

test('what a command is answered when it appends nothing is decided anew and carries the current revision', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', quiet)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const applied = accepted(await node.commands.submit(report('op-1', 'key-1', 'read')))
  const again = accepted(await node.commands.submit(unkeyed('key-2', 'read')))
  expect(again).toMatchObject({ outcome: 'ignored', reason: 'duplicate', revision: 1n, position: applied.position })
})

test('decided on a state that was read after it came, it is answered without asking the log again', async () => {
  const one = createNode()
  await definePipeline(one, 'invoice', quiet)
  accepted(await one.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const applied = accepted(await one.commands.submit(report('op-1', 'key-1', 'read')))
  const two = createNode(one.log)
  const again = accepted(await two.commands.submit(unkeyed('key-2', 'read')))
  const { revision, position } = applied
  expect(again).toMatchObject({ outcome: 'ignored', reason: 'duplicate', revision, position })
  expect(two.log.appends).toEqual([])
})

test('an operation that is being opened is not shown before the log has it', async () => {
  const node = createNode()
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const opened = node.commands.submit(open('op-1', 'open'))
  await until(() => node.log.appends.length === 1)
  expect(node.commands.cached('op-1')).toBeNull()
  gate.open()
  accepted(await opened)
  expect(node.commands.cached('op-1')?.state.revision).toBe(0n)
})

test('load folds all that the log has, cached shows what this node knows', async () => {
  const one = createNode()
  const two = createNode(one.log)
  accepted(await one.commands.submit(open('op-1', 'key-1')))
  expect(await two.commands.load('op-1')).toMatchObject({ state: { revision: 0n } })
  expect(two.log.seen.reads).toBe(1)
  accepted(await one.commands.submit(report('op-1', 'key-2', 'read')))
  expect(two.commands.cached('op-1')?.state.revision).toBe(0n)
  expect((await two.commands.load('op-1'))?.state.revision).toBe(1n)
  expect(two.commands.cached('op-1')?.state.revision).toBe(1n)
  expect(await two.commands.load('nowhere')).toBeNull()
})

test('what appends nothing carries the revision it was decided at, though a later command of its batch appends', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', quiet)
  const opened = accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const [before, applied, after] = await Promise.all(
    ['new', 'read', 'read'].map((status, n) => node.commands.submit(unkeyed(`key-${n}`, status))),
  )
  expect(before).toMatchObject({ reason: 'duplicate', revision: 0n, position: opened.position })
  expect(applied).toMatchObject({ outcome: 'applied', revision: 1n })
  expect(after).toMatchObject({ reason: 'duplicate', revision: 1n })
  expect(node.log.appends.at(-1)?.length).toBe(1)
})

test('a slow read never takes memory back behind what was confirmed since', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  const gate = createGate()
  node.log.afterRead = () => gate.passed
  const slow = node.commands.load('op-1')
  await until(() => node.log.seen.reads === 1)
  accepted(await node.commands.submit(report('op-1', 'key-1', 'read')))
  gate.open()
  expect((await slow)?.state.revision).toBe(0n)
  expect(node.commands.cached('op-1')?.state.revision).toBe(1n)
})

test('an operation in flight is never dropped from memory: its next command waits for it', async () => {
  const node = createNode(undefined, { cachedOperationsMax: 1 })
  accepted(await node.commands.submit(open('op-1', 'open')))
  const gate = createGate()
  node.log.failNextAppend(async (batch, forward) => {
    await gate.passed
    return forward(batch)
  })
  const first = node.commands.submit(report('op-1', 'key-1', 'read'))
  await until(() => node.log.appends.length === 2)
  accepted(await node.commands.submit(open('op-2', 'open')))
  const second = node.commands.submit(report('op-1', 'key-2', 'checked'))
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  expect(node.log.appends.length).toBe(3)
  gate.open()
  expect([accepted(await first).revision, accepted(await second).revision]).toEqual([1n, 2n])
  expect(node.log.seen.sharedStream).toBe(false)
})

test('nor is one that is being read', async () => {
  const other = createNode()
  accepted(await other.commands.submit(open('op-1', 'open')))
  const node = createNode(other.log, { cachedOperationsMax: 1 })
  const gate = createGate()
  node.log.beforeRead = () => gate.passed
  const first = node.commands.submit(report('op-1', 'key-1', 'read'))
  await until(() => node.log.seen.reads === 1)
  for (const id of ['op-2', 'op-3']) accepted(await node.commands.submit(open(id, 'open')))
  const second = node.commands.submit(report('op-1', 'key-2', 'checked'))
  gate.open()
  expect([accepted(await first).revision, accepted(await second).revision]).toEqual([1n, 2n])
  expect(node.log.seen.reads).toBe(1)
})

test('memory holds so many operations and no more, and a dropped one is read again', async () => {
  const node = createNode(undefined, { cachedOperationsMax: 10 })
  for (let n = 0; n < 30; n += 1) accepted(await node.commands.submit(open(`op-${n}`, 'open')))
  const cached = Array.from({ length: 30 }, (_, n) => node.commands.cached(`op-${n}`)).filter((entry) => entry !== null)
  expect(cached.length).toBe(10)
  expect(accepted(await node.commands.submit(report('op-0', 'key', 'read'))).revision).toBe(1n)
})

test('memory is bounded by bytes as well', async () => {
  const node = createNode(undefined, { cachedBytesMax: 1_000_000 })
  for (let n = 0; n < 30; n += 1) {
    accepted(await node.commands.submit(open(`op-${n}`, 'open', { data: { text: 'x'.repeat(50_000) } })))
  }
  const cached = Array.from({ length: 30 }, (_, n) => node.commands.cached(`op-${n}`)).filter((entry) => entry !== null)
  expect(cached.length).toBeGreaterThan(15)
  expect(cached.length).toBeLessThan(20)
})

test('short of memory, old receipts go before operations, and are asked of the log', async () => {
  const node = createNode(undefined, { cachedBytesMax: 300_000 })
  const operations = Array.from({ length: 20 }, (_, n) => `op-${n}`)
  const firsts: unknown[] = []
  for (let n = 0; n < 100; n += 1) {
    const results = await Promise.all(
      operations.map((id) => node.commands.submit(report(id, `key-${n}`, `s${n}`, { pipeline: 'any' }))),
    )
    if (n === 0) firsts.push(...results)
  }
  // All receipts would take 560,000 bytes.
  expect(operations.filter((id) => node.commands.cached(id) !== null)).toEqual(operations)
  const reads = node.log.seen.reads
  const again = await Promise.all(
    operations.map((id) => node.commands.submit(report(id, 'key-0', 's0', { pipeline: 'any' }))),
  )
  expect(again).toEqual(firsts)
  expect(node.log.seen.reads).toBeGreaterThan(reads)
})

test('an operation that is patched often counts with what it holds, not with all it was sent', async () => {
  const node = createNode(undefined, { cachedBytesMax: 100_000, receiptsMax: 4 })
  for (let n = 0; n < 300; n += 1) {
    const text = 'x'.repeat(1_000)
    accepted(await node.commands.submit(report('hot', `key-${n}`, `s${n}`, { pipeline: 'any', data: { text } })))
    if (n < 20) accepted(await node.commands.submit(open(`other-${n}`, 'open')))
  }
  expect(node.commands.cached('hot')).not.toBeNull()
  expect(node.commands.cached('other-0')).not.toBeNull()
})

test('the one timer runs while there is something to watch over, and no longer', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const node = createNode()
  for (let round = 0; round < 2; round += 1) {
    const gate = createGate()
    node.log.beforeAppend = () => gate.passed
    const opened = node.commands.submit(open(`op-${round}`, 'open'))
    vi.advanceTimersByTime(500)
    expect(vi.getTimerCount()).toBe(1)
    gate.open()
    accepted(await opened)
    vi.advanceTimersByTime(500)
    expect(vi.getTimerCount()).toBe(0)
  }
})

test('drain takes no more commands and finishes those it has', async () => {
  const node = createNode()
  const taken = Array.from({ length: 50 }, (_, n) => node.commands.submit(open(`op-${n}`, 'open')))
  const drained = node.commands.drain()
  expect(codeOf(await node.commands.submit(open('late', 'open')))).toBe('overloaded')
  await drained
  expect((await Promise.all(taken)).map(codeOf)).toEqual(taken.map(() => 'accepted'))
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('metrics count batches, their commands and their time in the log', async () => {
  const node = createNode()
  const seen: { commands: number; logSeconds: number }[] = []
  node.commands.metrics.onBatch((commands, logSeconds) => seen.push({ commands, logSeconds }))
  await Promise.all(Array.from({ length: 40 }, (_, n) => node.commands.submit(open(`op-${n}`, 'open'))))
  expect(seen.reduce((sum, batch) => sum + batch.commands, 0)).toBe(40)
  expect(node.commands.metrics.batches()).toBe(seen.length)
  for (const { logSeconds } of seen) expect(logSeconds).toBeGreaterThanOrEqual(0)
})
