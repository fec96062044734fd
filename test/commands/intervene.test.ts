import { expect, test, vi } from 'vitest'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { after, answering, createGate, unavailable, unknownLanded, unknownLost } from './faultyEventLog.ts'
import { createNode, type Node, until } from './node.ts'

const skip = { type: 'EventSkipped', data: { stream: 'operation-op-1', revision: 3, reason: 'poison' } } as const
const retry = { type: 'StreamRetried', data: { stream: 'operation-op-1' } } as const

const intervene = (
  { commands }: Pick<Node, 'commands'>,
  key: string,
  parts: Partial<Parameters<Node['commands']['intervene']>[0]> = {},
) =>
  commands.intervene({
    projection: 'operations',
    event: skip,
    key,
    actor: 'ann',
    check: async () => undefined,
    ...parts,
  })

const stored = ({ log }: Pick<Node, 'log'>) => log.readStream('projection-operations', { maxCount: 100 })

test('what an operator does is recorded in the stream of its projection, one link after the other', async () => {
  const node = createNode()
  const first = await intervene(node, 'key-1', { traceparent: 'trace-1' })
  node.time.nowMs += 1_000
  const second = await intervene(node, 'key-2', { event: retry })
  const events = await stored(node)
  expect(events.map(({ type, data }) => ({ type, data: JSON.parse(data) }))).toEqual([skip, retry])
  expect(first).toEqual({ kind: 'recorded', revision: 0n, position: events[0]?.position, key: 'key-1' })
  expect(second).toEqual({ kind: 'recorded', revision: 1n, position: events[1]?.position, key: 'key-2' })
  const [one, two] = events.map(({ metadata }) => JSON.parse(metadata))
  expect(one).toMatchObject({
    command: 'key-1',
    actor: 'ann',
    $correlationId: 'operations',
    $causationId: 'key-1',
    traceparent: 'trace-1',
    schemaVersion: 2,
    recordedAt: '2026-01-01T00:00:00.000Z',
    previousHash: '0'.repeat(64),
  })
  expect(two).toMatchObject({ recordedAt: '2026-01-01T00:00:01.000Z', previousHash: one.hash })
  expect(two).not.toHaveProperty('traceparent')
  expect(await intervene(node, 'key-3')).toMatchObject({ kind: 'recorded', revision: 2n })
  expect(verifyStream(await stored(node)).kind).toBe('intact')
})

test('recordedAt never falls below its predecessor', async () => {
  const node = createNode()
  await intervene(node, 'key-1')
  node.time.nowMs -= 60_000
  await intervene(node, 'key-2')
  const times = (await stored(node)).map(({ metadata }) => JSON.parse(metadata).recordedAt)
  expect(times).toEqual(['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'])
})

test('a retry gets its receipt unchecked, its key with another request is refused', async () => {
  const node = createNode()
  const first = await intervene(node, 'key-1')
  await intervene(node, 'key-2')
  const check = async () => Promise.reject(new Error('asked'))
  for (const other of [node, createNode(node.log)]) {
    expect(await intervene(other, 'key-1', { check })).toEqual(first)
    for (const event of [retry, { ...skip, data: { ...skip.data, revision: 4 } }]) {
      expect(await intervene(other, 'key-1', { event, check })).toEqual({
        kind: 'refused',
        refusal: { code: 'key_reused', detail: expect.stringContaining('another request') },
        key: 'key-1',
      })
    }
  }
  expect(await stored(node)).toHaveLength(2)
})

test('the check is told of the last intervention, and its refusal is thrown with nothing recorded', async () => {
  const node = createNode()
  const check = vi.fn(async (_position: bigint) => undefined)
  const first = await intervene(node, 'key-1', { check })
  const refusal = { its: 'own' }
  await expect(intervene(node, 'key-2', { check: () => Promise.reject(refusal) })).rejects.toBe(refusal)
  await intervene(node, 'key-3', { check })
  expect(check.mock.calls).toEqual([[0n], [first.kind === 'recorded' ? first.position : undefined]])
  expect(await stored(node)).toHaveLength(2)
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('one that another node gets in before is checked again and comes after it', async () => {
  const one = createNode()
  const two = createNode(one.log)
  const check = vi.fn(async (_position: bigint) => undefined)
  one.log.failNextAppend(after(() => intervene(two, 'other')))
  expect(await intervene(one, 'key-1', { check })).toMatchObject({ kind: 'recorded', revision: 1n })
  expect(check).toHaveBeenCalledTimes(2)
  expect(verifyStream(await stored(one)).kind).toBe('intact')
})

test.each(['conflict', 'duplicate', 'untried'] as const)(
  '%s: it is tried again, so often and no more',
  async (kind) => {
    const node = createNode(createMemoryEventLog(), { conflictsMax: 2 })
    const outcome = kind === 'conflict' ? ({ kind, actualRevision: 7n } as const) : { kind }
    for (let n = 0; n < 2; n += 1) node.log.failNextAppend(answering(outcome))
    expect(await intervene(node, 'key-1')).toMatchObject({ kind: 'recorded', revision: 0n })
    for (let n = 0; n < 3; n += 1) node.log.failNextAppend(answering(outcome))
    expect(await intervene(node, 'key-2')).toEqual({
      kind: 'failed',
      failure: { code: 'contention', retryAfterS: 1 },
      key: 'key-2',
    })
    expect(node.log.appends).toHaveLength(6)
  },
)

test('unknown outcomes, a log that is away or holds no such value', async () => {
  const node = createNode()
  node.log.failNextAppend(unknownLanded)
  expect(await intervene(node, 'key-1')).toMatchObject({ kind: 'failed', failure: { code: 'outcome_unknown' } })
  expect(await intervene(node, 'key-1')).toMatchObject({ kind: 'recorded', revision: 0n })
  node.log.failNextAppend(unknownLost)
  expect(await intervene(node, 'key-2')).toMatchObject({ kind: 'failed', failure: { code: 'outcome_unknown' } })
  node.log.failNextAppend(unavailable)
  expect(await intervene(node, 'key-2')).toMatchObject({ kind: 'failed', failure: { code: 'log_unavailable' } })
  node.log.failNextAppend(answering({ kind: 'rejected', reason: 'invalid' }))
  expect(await intervene(node, 'key-2')).toEqual({
    kind: 'refused',
    refusal: { code: 'invalid', detail: expect.stringContaining('cannot store') },
    key: 'key-2',
  })
  node.log.readsFail = true
  expect(await intervene(node, 'key-2')).toMatchObject({ kind: 'failed', failure: { code: 'log_unavailable' } })
  expect(node.commands.metrics.unreadable()).toBe(0)
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('those of one projection take turns, and count as commands while they do', async () => {
  const node = createNode(undefined, { queuedCommandsMax: 2 })
  const gate = createGate()
  node.log.beforeAppend = () => gate.passed
  const first = intervene(node, 'key-1')
  const second = intervene(node, 'key-2')
  expect(node.commands.metrics.inFlight()).toBe(2)
  expect(await intervene(node, 'key-3')).toEqual({
    kind: 'failed',
    failure: { code: 'overloaded', retryAfterS: 1 },
    key: 'key-3',
  })
  await until(() => node.log.appends.length === 1)
  gate.open()
  expect(await first).toMatchObject({ revision: 0n })
  expect(await second).toMatchObject({ revision: 1n })
  // Had they not taken turns, one would have met the other.
  expect(node.log.appends).toHaveLength(2)
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('a stream that cannot be read is reported under its name', async () => {
  const log = createMemoryEventLog()
  const error = vi.fn()
  const commands = createCommandService({ log, clock: Date.now, logger: { error, warn: error } })
  const events = [{ id: '00000000-0000-4000-8000-000000000001', type: 'Nonsense', data: '{}', metadata: '{}' }]
  await log.append([{ stream: 'projection-operations', expectedRevision: 'noStream', events }])
  expect(await intervene({ commands }, 'key-1')).toMatchObject({ kind: 'failed', failure: { code: 'unreadable' } })
  expect(error.mock.calls).toMatchObject([[{ stream: 'projection-operations' }, 'stream unreadable']])
})
