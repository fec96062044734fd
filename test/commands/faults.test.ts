import { expect, test } from 'vitest'
import type { AppendRequest } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { createGate, unavailable, unknownLanded, unknownLost, wholeLog } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, linear, open, report, until } from './node.ts'

test('an unknown outcome that landed: its caller is told so, its retry gets the receipt', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  node.log.failNextAppend(unknownLanded)
  expect(await node.commands.submit(report('op-1', 'key-1', 'read'))).toMatchObject({
    kind: 'failed',
    operation: 'op-1',
    key: 'key-1',
    failure: { code: 'outcome_unknown', retryAfterS: 1 },
  })
  expect(node.commands.metrics.unknownOutcomes()).toBe(1)
  expect(accepted(await node.commands.submit(report('op-1', 'key-1', 'read')))).toMatchObject({ revision: 1n })
  expect((await wholeLog(node.log)).length).toBe(2)
})

test('an unknown outcome that did not land: its retry is the first', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  node.log.failNextAppend(unknownLost)
  expect(codeOf(await node.commands.submit(report('op-1', 'key-1', 'read')))).toBe('outcome_unknown')
  expect(accepted(await node.commands.submit(report('op-1', 'key-1', 'read')))).toMatchObject({ revision: 1n })
  expect((await wholeLog(node.log)).length).toBe(2)
})

test('one that lands only after its retry was decided: the retry finds it', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  let late: readonly AppendRequest[] = []
  let land = async (): Promise<unknown> => undefined
  node.log.failNextAppend(async (batch, forward) => {
    late = batch
    land = () => forward(late)
    return batch.map(() => ({ kind: 'unknown' }))
  })
  expect(codeOf(await node.commands.submit(report('op-1', 'key-1', 'read')))).toBe('outcome_unknown')
  node.log.failNextAppend(async (batch, forward) => {
    await land()
    return forward(batch)
  })
  expect(accepted(await node.commands.submit(report('op-1', 'key-1', 'read')))).toMatchObject({ revision: 1n })
  expect((await wholeLog(node.log)).length).toBe(2)
})

for (const [name, fault] of [
  ['landed', unknownLanded],
  ['was lost', unknownLost],
] as const) {
  test(`commands behind an unknown outcome that ${name} are decided again on what the log holds`, async () => {
    const node = createNode()
    await definePipeline(node, 'invoice', linear)
    accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
    const gate = createGate()
    node.log.failNextAppend(async (batch, forward) => {
      await gate.passed
      return fault(batch, forward)
    })
    const first = node.commands.submit(report('op-1', 'key-1', 'read'))
    await until(() => node.log.appends.length === 3)
    const duplicate = node.commands.submit(report('op-1', 'key-1', 'read'))
    const behind = node.commands.submit(report('op-1', 'key-2', 'checked'))
    gate.open()
    expect(codeOf(await first)).toBe('outcome_unknown')
    // Whichever it was, the duplicate answers for the first, and what came behind it follows it.
    expect(accepted(await duplicate)).toMatchObject({ outcome: 'applied', revision: 1n })
    expect(accepted(await behind)).toMatchObject({ outcome: 'applied', revision: 2n })
    expect((await wholeLog(node.log)).filter((event) => event.stream === 'operation-op-1').length).toBe(3)
  })
}

test('a log that is away: log_unavailable, nothing taken, safe to send again', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  node.log.failNextAppend(unavailable)
  const chain = ['a', 'b', 'c'].map((status) => node.commands.submit(report('op-1', `key-${status}`, status)))
  expect((await Promise.all(chain)).map(codeOf)).toEqual(['log_unavailable', 'log_unavailable', 'log_unavailable'])
  expect(accepted(await node.commands.submit(report('op-1', 'key-a', 'a'))).revision).toBe(1n)
})

test('a log that cannot be read: log_unavailable for what must be read, and none of it sticks', async () => {
  const log = createMemoryEventLog()
  accepted(await createNode(log).commands.submit(open('op-1', 'open')))
  const node = createNode(log)
  node.log.readsFail = true
  expect(codeOf(await node.commands.submit(report('op-1', 'key-1', 'read')))).toBe('log_unavailable')
  expect(codeOf(await node.commands.submit(open('op-2', 'key-1', { pipeline: 'invoice' })))).toBe('log_unavailable')
  await expect(node.commands.load('op-1')).rejects.toThrow('planted')
  node.log.readsFail = false
  expect(accepted(await node.commands.submit(report('op-1', 'key-1', 'read'))).revision).toBe(1n)
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('an adapter that rejects, throws or answers too little has an unknown outcome', async () => {
  const node = createNode()
  node.log.failNextAppend(async () => Promise.reject(new Error('a bug')))
  expect(codeOf(await node.commands.submit(open('op-1', 'open')))).toBe('outcome_unknown')
  node.log.failNextAppend(() => {
    throw new Error('a bug')
  })
  expect(codeOf(await node.commands.submit(open('op-1', 'open')))).toBe('outcome_unknown')
  node.log.failNextAppend(async () => [])
  expect(codeOf(await node.commands.submit(open('op-1', 'open')))).toBe('outcome_unknown')
  expect(accepted(await node.commands.submit(open('op-1', 'open'))).revision).toBe(0n)
})

test('an append that is too large is refused, and its neighbours on the operation are decided without it', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', linear)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  node.log.failNextAppend(async (batch, forward) => {
    const [first, second, ...rest] = batch
    if (first === undefined || second === undefined) throw new Error('a chain of three was expected')
    const [outcome] = await forward([first])
    return [
      outcome ?? { kind: 'unknown' },
      { kind: 'rejected', reason: 'too_large' },
      ...rest.map(() => ({ kind: 'untried' as const })),
    ]
  })
  const results = await Promise.all(
    ['read', 'checked', 'done'].map((status) => node.commands.submit(report('op-1', `key-${status}`, status))),
  )
  // `done` was decided as if `checked` had been reached; it had not.
  expect(results.map(codeOf)).toEqual(['accepted', 'too_large', 'transition_not_allowed'])
})

test('a poisoned stream fails its own commands clearly and no others', async () => {
  const log = createMemoryEventLog()
  const node = createNode(log)
  accepted(await node.commands.submit(open('good', 'open')))
  await log.append([await nextInChain(log, 'operation-bad')])
  const results = await Promise.all([
    node.commands.submit(report('bad', 'key-1', 'read')),
    node.commands.submit(report('good', 'key-1', 'read')),
  ])
  expect(results.map(codeOf)).toEqual(['unreadable', 'accepted'])
  await expect(node.commands.load('bad')).rejects.toMatchObject({ name: 'UnreadableStreamError' })
  expect(codeOf(await node.commands.submit(open('bad', 'key-2')))).toBe('unreadable')
})

test('a failure fails the later commands of its group on that operation, and a refusal does not', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', { ...linear, recordIgnored: false })
  for (const id of ['op-1', 'op-2']) accepted(await node.commands.submit(open(id, 'open', { pipeline: 'invoice' })))
  node.log.failNextAppend(async (batch, forward) => {
    const outcomes = await forward(batch.filter((request) => request.stream === 'operation-op-2'))
    let next = 0
    return batch.map((request) =>
      request.stream === 'operation-op-2' ? (outcomes[next++] ?? { kind: 'unknown' }) : { kind: 'unknown' },
    )
  })
  const group = { failed: new Map<string, number>() }
  const submit = (id: string, status: string) => node.commands.submit(report(id, `key-${status}`, status), group)
  const alone = node.commands.submit(report('op-1', 'alone', 'read'))
  const results = await Promise.all([
    // Says nothing new after `alone`, so it appends nothing: it is decided again on what the log then has.
    node.commands.submit({ ...report('op-1', 'key-read', 'read'), keyGenerated: true }, group),
    submit('op-2', 'done'),
    submit('op-2', 'read'),
    submit('op-2', 'checked'),
  ])
  expect(codeOf(await alone)).toBe('outcome_unknown')
  expect(results.map(codeOf)).toEqual(['accepted', 'transition_not_allowed', 'accepted', 'accepted'])

  node.log.failNextAppend(unknownLost)
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const first = submit('op-1', 'checked')
  await until(() => node.log.appends.at(-1)?.length === 1 && node.log.appends.length === 6)
  const behind = submit('op-1', 'done')
  const elsewhere = submit('op-2', 'done')
  gate.open()
  expect((await Promise.all([first, behind, elsewhere])).map(codeOf)).toEqual([
    'outcome_unknown',
    'not_tried',
    'accepted',
  ])
  expect(codeOf(await submit('op-1', 'checked'))).toBe('not_tried')
})

test('what appends nothing is answered with the position known, which the log need not tell of a check', async () => {
  const node = createNode()
  await definePipeline(node, 'invoice', { ...linear, recordIgnored: false })
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  const { position } = accepted(await node.commands.submit(report('op-1', 'first', 'read')))
  node.log.failNextAppend(async (batch, forward) => {
    expect(batch).toMatchObject([{ events: [] }])
    return (await forward(batch)).map((outcome) =>
      outcome.kind === 'appended' ? { ...outcome, position: 0n } : outcome,
    )
  })
  for (const key of ['second', 'third']) {
    const again = accepted(await node.commands.submit({ ...report('op-1', key, 'read'), keyGenerated: true }))
    expect(again).toMatchObject({ outcome: 'ignored', reason: 'duplicate', position })
  }
})
