import { expect, test } from 'vitest'
import type { ReadStreamOptions } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { after, answering, createGate, unavailable, unknownLanded, unknownLost } from './faultyEventLog.ts'
import {
  accepted,
  advancing,
  codeOf,
  createNode,
  definePipeline,
  holding,
  linear,
  type Node,
  open,
  report,
  until,
} from './node.ts'

const put = (node: Node, definition: unknown, key: string, expectedRevision?: bigint) =>
  node.commands.definePipeline({
    name: 'invoice',
    definition,
    key,
    actor: 'anonymous',
    ...(expectedRevision === undefined ? undefined : { expectedRevision }),
  })

test('the first definition is version 1, the same one again is unchanged, another one is version 2', async () => {
  const node = createNode()
  const first = await put(node, linear, 'key-1')
  expect(first).toMatchObject({ kind: 'defined', key: 'key-1', record: { pipeline: { version: 1 }, revision: 0n } })
  expect(first).toMatchObject({ record: { definedAt: '2026-01-01T00:00:00.000Z' } })
  expect(await put(node, { ...linear, lateData: 'fill' }, 'key-2')).toMatchObject({
    kind: 'unchanged',
    record: { pipeline: { version: 1 }, revision: 0n },
  })
  expect(await put(node, advancing, 'key-3')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 2 } } })
  // Back to the first is a version of its own: a history, not a set.
  expect(await put(node, linear, 'key-4')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 3 } } })
  expect((await node.commands.pipeline('invoice'))?.pipeline.version).toBe(3)
  expect((await node.commands.pipeline('invoice', 2))?.pipeline.definition.outOfOrder).toBe('advance')
  expect(await node.commands.pipeline('invoice', 4)).toBeNull()
  expect(await node.commands.pipeline('other')).toBeNull()
  expect(verifyStream(await node.log.readStream('pipeline-invoice', { maxCount: 10 })).kind).toBe('intact')
})

test('a retry gets its receipt, whatever was defined since; its key with another definition is refused', async () => {
  const node = createNode()
  const first = await put(node, linear, 'key-1')
  await put(node, advancing, 'key-2')
  for (const other of [node, createNode(node.log)]) {
    expect(await put(other, linear, 'key-1')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 1 } } })
    expect(await put(other, holding, 'key-1')).toMatchObject({ kind: 'refused', refusal: { code: 'key_reused' } })
  }
  expect(await put(node, linear, 'key-1')).toEqual(first)
})

test('a bad definition is invalid, with pointers', async () => {
  const node = createNode()
  const result = await put(node, { statuses: ['new', 'new'] }, 'key-1')
  if (result.kind !== 'invalid') throw new Error(result.kind)
  expect(result.errors.length).toBeGreaterThan(0)
  for (const { pointer } of result.errors) expect(pointer).toMatch(/^(\/|$)/)
  expect(node.log.appends.length).toBe(0)
})

test('any is built in', async () => {
  const node = createNode()
  expect(await node.commands.pipeline('any')).toMatchObject({ pipeline: { version: 1, any: true }, definedAt: null })
  expect(await node.commands.pipeline('any', 2)).toBeNull()
  const result = await node.commands.definePipeline({ name: 'any', definition: linear, key: 'k', actor: 'anonymous' })
  const detail = 'Pipeline any is built in and cannot be defined'
  expect(result).toEqual({ kind: 'refused', refusal: { code: 'invalid', detail }, key: 'k' })
})

test('the expected revision of a pipeline', async () => {
  const node = createNode()
  expect(await put(node, linear, 'key-1', 0n)).toEqual({
    kind: 'refused',
    refusal: { code: 'revision_mismatch', detail: 'The pipeline does not exist yet' },
    key: 'key-1',
  })
  await put(node, linear, 'key-2')
  expect(await put(node, advancing, 'key-3', 0n)).toMatchObject({ kind: 'defined', record: { revision: 1n } })
  expect(await put(node, holding, 'key-4', 0n)).toMatchObject({
    refusal: { code: 'revision_mismatch', detail: 'The pipeline is at revision 1', revision: 1n },
  })
  expect(await put(node, advancing, 'key-3', 0n)).toMatchObject({ kind: 'defined', record: { revision: 1n } })
})

test('a definition answered on one node is in force on every other one at once', async () => {
  const log = createMemoryEventLog()
  const one = createNode(log)
  const two = createNode(log)
  await put(one, linear, 'key-1')
  for (let version = 1; version <= 20; version += 1) {
    const opened = await two.commands.submit(open(`op-${version}`, 'open', { pipeline: 'invoice' }))
    accepted(opened)
    expect(two.commands.cached(`op-${version}`)?.state.pipeline.version).toBe(version)
    await put(one, version % 2 === 0 ? linear : advancing, `key-${version + 1}`)
  }
})

test('an open that was sent before a definition was answered, but after a read began, does not use that read', async () => {
  const log = createMemoryEventLog()
  const one = createNode(log)
  const two = createNode(log)
  await put(one, linear, 'key-1')
  const gate = createGate()
  let reads = 0
  two.log.afterRead = () => {
    reads += 1
    return reads === 1 ? gate.passed : Promise.resolve()
  }
  // The gate holds the answer of a read that saw version 1.
  const early = two.commands.submit(open('early', 'open', { pipeline: 'invoice' }))
  await until(() => reads === 1)
  await put(one, advancing, 'key-2')
  const late = two.commands.submit(open('late', 'open', { pipeline: 'invoice' }))
  gate.open()
  accepted(await early)
  accepted(await late)
  expect(two.commands.cached('late')?.state.pipeline.version).toBe(2)
})

test('opens of one pipeline that come together share a read or two', async () => {
  const node = createNode()
  await put(node, linear, 'key-1')
  const reads = node.log.seen.reads
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, n) => node.commands.submit(open(`op-${n}`, 'open', { pipeline: 'invoice' }))),
  )
  expect(results.map(codeOf)).toEqual(results.map(() => 'accepted'))
  expect(node.log.seen.reads - reads).toBeLessThanOrEqual(2)
})

test('an operation keeps the version it was opened with, on every node', async () => {
  const one = createNode()
  await put(one, linear, 'key-1')
  accepted(await one.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  await put(one, { statuses: ['new', 'else'], outOfOrder: 'reject' }, 'key-2')
  const two = createNode(one.log)
  expect(accepted(await two.commands.submit(report('op-1', 'key-1', 'read'))).revision).toBe(1n)
  expect(two.commands.cached('op-1')?.state.pipeline.version).toBe(1)
})

test('definitions that race become versions one after the other, each once', async () => {
  const log = createMemoryEventLog()
  const nodes = [createNode(log), createNode(log), createNode(log)]
  const definitions = Array.from({ length: 30 }, (_, n) => ({ statuses: ['new', `end ${n}`], outOfOrder: 'reject' }))
  const results = await Promise.all(
    definitions.map((definition, n) => {
      const node = nodes[n % 3]
      if (node === undefined) throw new Error('no node')
      return put(node, definition, `key-${n}`)
    }),
  )
  const versions = results.map((result) => (result.kind === 'defined' ? result.record.pipeline.version : 0))
  expect(versions.toSorted((left, right) => left - right)).toEqual(definitions.map((_, n) => n + 1))
  const stored = await log.readStream('pipeline-invoice', { maxCount: 100 })
  expect(verifyStream(stored).kind).toBe('intact')
})

test('conflicts, unknown outcomes and a log that is away, for a definition', async () => {
  const log = createMemoryEventLog()
  const one = createNode(log)
  const two = createNode(log)
  one.log.failNextAppend(after(() => put(two, advancing, 'other')))
  expect(await put(one, linear, 'key-1')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 2 } } })
  one.log.failNextAppend(unknownLanded)
  expect(await put(one, holding, 'key-2')).toMatchObject({ kind: 'failed', failure: { code: 'outcome_unknown' } })
  expect(await put(one, holding, 'key-2')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 3 } } })
  one.log.failNextAppend(unknownLost)
  expect(await put(one, linear, 'key-3')).toMatchObject({ kind: 'failed', failure: { code: 'outcome_unknown' } })
  expect(await put(one, linear, 'key-3')).toMatchObject({ kind: 'defined', record: { pipeline: { version: 4 } } })
  one.log.failNextAppend(unavailable)
  expect(await put(one, holding, 'key-4')).toMatchObject({ kind: 'failed', failure: { code: 'log_unavailable' } })
  one.log.readsFail = true
  expect(await put(one, holding, 'key-5')).toMatchObject({ kind: 'failed', failure: { code: 'log_unavailable' } })
  await expect(one.commands.pipeline('invoice')).rejects.toThrow('planted')
})

test.each([
  ['too_large', 'larger than one append may be'],
  ['invalid', 'cannot store'],
] as const)('a definition that the log would not hold (%s) is refused', async (reason, detail) => {
  const node = createNode()
  node.log.failNextAppend(answering({ kind: 'rejected', reason }))
  expect(await put(node, linear, 'key-1')).toEqual({
    kind: 'refused',
    refusal: { code: reason, detail: expect.stringContaining(detail) },
    key: 'key-1',
  })
})

test.each(['conflict', 'duplicate', 'untried'] as const)(
  '%s: it is tried again, so often and no more',
  async (kind) => {
    const node = createNode(undefined, { conflictsMax: 2 })
    const outcome = kind === 'conflict' ? ({ kind, actualRevision: 7n } as const) : { kind }
    for (let n = 0; n < 2; n += 1) node.log.failNextAppend(answering(outcome))
    expect(await put(node, linear, 'key-1')).toMatchObject({ kind: 'defined', record: { revision: 0n } })
    for (let n = 0; n < 3; n += 1) node.log.failNextAppend(answering(outcome))
    const failure = { code: 'contention', retryAfterS: 1 }
    expect(await put(node, advancing, 'key-2')).toEqual({ kind: 'failed', failure, key: 'key-2' })
    expect(node.log.appends).toHaveLength(6)
  },
)

test('a version that the log says is there and cannot be read back is the log away', async () => {
  const node = createNode()
  await put(node, linear, 'key-1')
  const stored = await node.log.readStream('pipeline-invoice', { maxCount: 1 })
  Object.assign(node.log, {
    readStream: async (_: string, { direction }: ReadStreamOptions) => (direction === 'backwards' ? stored : []),
  })
  expect(await put(node, advancing, 'key-2')).toMatchObject({ kind: 'failed', failure: { code: 'log_unavailable' } })
  expect(node.commands.metrics.unreadable()).toBe(0)
})

test('those of one pipeline take turns, and count as commands while they do', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 2 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const first = put(node, linear, 'key-1')
  const second = put(node, advancing, 'key-2')
  expect(node.commands.metrics.inFlight()).toBe(2)
  const failure = { code: 'overloaded', retryAfterS: 1 }
  expect(await put(node, holding, 'key-3')).toEqual({ kind: 'failed', failure, key: 'key-3' })
  gate.open()
  expect([await first, await second]).toMatchObject([{ record: { revision: 0n } }, { record: { revision: 1n } }])
  // Had they not taken turns, one would have met the other.
  expect(node.log.appends).toHaveLength(2)
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('what is recorded of a definition', async () => {
  const node = createNode()
  await put(node, linear, 'key-1')
  node.time.nowMs -= 60_000
  await node.commands.definePipeline({
    name: 'invoice',
    definition: advancing,
    key: 'key-2',
    actor: 'ann',
    traceparent: 'trace-2',
  })
  const stored = await node.log.readStream('pipeline-invoice', { maxCount: 10 })
  const [one, two] = stored.map(({ metadata }) => JSON.parse(metadata))
  expect(one).toMatchObject({ command: 'key-1', actor: 'anonymous', previousHash: '0'.repeat(64), schemaVersion: 3 })
  expect(one).not.toHaveProperty('traceparent')
  expect(two).toMatchObject({
    command: 'key-2',
    actor: 'ann',
    traceparent: 'trace-2',
    $correlationId: 'invoice',
    $causationId: 'key-2',
    // Never below its predecessor.
    recordedAt: '2026-01-01T00:00:00.000Z',
    previousHash: one.hash,
  })
})

test('a node keeps no more pipeline versions in memory than it may', async () => {
  const node = createNode(undefined, { cachedPipelinesMax: 3, cachedOperationsMax: 2 })
  for (let n = 0; n < 6; n += 1) {
    await definePipeline(node, `p${n}`, linear)
    accepted(await node.commands.submit(open(`op-${n}`, 'open', { pipeline: `p${n}` })))
  }
  for (let n = 0; n < 6; n += 1) accepted(await node.commands.submit(report(`op-${n}`, 'key-1', 'read')))
})
