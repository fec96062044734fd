import { expect, test, vi } from 'vitest'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { nextInChain } from '../operation/support/nextInChain.ts'
import { plainState } from '../operation/support/plainState.ts'
import { accepted, advancing, codeOf, createNode, definePipeline, linear, type Node, open, report } from './node.ts'

const eventsOf = (log: EventLog, stream: string) => log.readStream(stream, { maxCount: 100 })

/** What the event says, as a stream's first event: its hash chain holds. */
async function inChain(stream: string, event: RecordedEvent | undefined): Promise<RecordedEvent> {
  const { type, data } = event ?? expect.unreachable()
  const { events } = await nextInChain(createMemoryEventLog(), stream, { type, data })
  return { ...(events[0] ?? expect.unreachable()), stream, revision: 0n, position: 1n }
}

/** A node over a log that holds these events in one stream, and what it logs. */
async function nodeOver(stream: string, events: readonly (RecordedEvent | undefined)[]) {
  const log = createMemoryEventLog()
  const texts = events.map((event) => event ?? expect.unreachable())
  const [outcome] = await log.append([{ stream, expectedRevision: 'noStream', events: texts }])
  expect(outcome?.kind).toBe('appended')
  const error = vi.fn()
  const reasons = () => error.mock.calls.map(([{ stream: of, err }]) => [of, err.message])
  return { node: createNode(log, {}, { logger: { error, warn: error } }), reasons }
}

async function threeEvents(): Promise<readonly RecordedEvent[]> {
  const node = createNode()
  await definePipeline(node, 'invoice', linear)
  accepted(await node.commands.submit(open('op-1', 'open', { pipeline: 'invoice' })))
  for (const status of ['read', 'checked']) accepted(await node.commands.submit(report('op-1', status, status)))
  return eventsOf(node.log, 'operation-op-1')
}

async function versions(...definitions: readonly unknown[]): Promise<readonly RecordedEvent[]> {
  const node = createNode()
  for (const [n, definition] of definitions.entries()) await definePipeline(node, 'invoice', definition, `key-${n}`)
  return eventsOf(node.log, 'pipeline-invoice')
}

/** From now on the node's log is that of another. */
function becomes(node: Node, { log }: Node): void {
  const replaced: Pick<EventLog, 'readStream' | 'readEvent' | 'append'> = {
    readStream: (stream, options) => log.readStream(stream, options),
    readEvent: (stream, id) => log.readEvent(stream, id),
    append: (batch) => log.append(batch),
  }
  Object.assign(node.log, replaced)
}

const submit = ({ commands }: Node) => commands.submit(report('op-1', 'key-1', 'read'))

test('a stream that lacks an event was tampered with', async () => {
  const node = createNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  for (const status of ['a', 'b']) accepted(await node.commands.submit(report('op-1', status, status)))
  const [first, , third] = await eventsOf(node.log, 'operation-op-1')
  const broken = await nodeOver('operation-op-1', [first, third])
  expect(codeOf(await submit(broken.node))).toBe('tampered')
  const reason = 'its hash is not that of its bytes and its predecessor'
  expect(broken.reasons()).toEqual([
    ['operation-op-1', `the hash chain of operation-op-1 is broken at event 1: ${reason}`],
  ])
})

test('a stream that begins without an opening was tampered with, or is unreadable', async () => {
  const [, second] = await threeEvents()
  const { node } = await nodeOver('operation-op-1', [second])
  expect(codeOf(await submit(node))).toBe('tampered')
  const sealed = await nodeOver('operation-op-1', [await inChain('operation-op-1', second)])
  expect(codeOf(await submit(sealed.node))).toBe('unreadable')
})

test('a stream that a newer node wrote is nothing wrong with the stream: another node may take the command', async () => {
  const events = (await threeEvents()).map((event) => ({
    ...event,
    metadata: event.metadata.replace(/"schemaVersion":\d+/, '"schemaVersion":99'),
  }))
  const { node } = await nodeOver('operation-op-1', events)
  expect(codeOf(await submit(node))).toBe('log_unavailable')
})

test('an operation of a pipeline that the log does not define is unreadable', async () => {
  const { node, reasons } = await nodeOver('operation-op-1', await threeEvents())
  expect(codeOf(await submit(node))).toBe('unreadable')
  expect(reasons()).toEqual([['operation-op-1', 'pipeline invoice has no version 1']])
})

test('an operation whose stream holds another kind of event is unreadable', async () => {
  const [definition] = await versions(linear)
  const { node, reasons } = await nodeOver('operation-op-1', [await inChain('operation-op-1', definition)])
  expect(codeOf(await submit(node))).toBe('unreadable')
  expect(reasons()).toEqual([['operation-op-1', "PipelineDefined in an operation's stream"]])
})

test('a pipeline whose stream lacks a version, or holds another kind of event, is unreadable', async () => {
  const [, second] = await versions(linear, advancing)
  const [operation] = await threeEvents()
  for (const event of [second, operation]) {
    const { node, reasons } = await nodeOver('pipeline-invoice', [await inChain('pipeline-invoice', event)])
    const command = { name: 'invoice', definition: linear, key: 'key', actor: 'anonymous' }
    expect(await node.commands.definePipeline(command)).toMatchObject({ failure: { code: 'unreadable' } })
    expect(reasons()).toEqual([['pipeline-invoice', 'pipeline-invoice@0 does not define version 1']])
    await expect(node.commands.pipeline('invoice', 1)).rejects.toThrow('does not define version 1')
  }
})

test('a log that is not what it was: what was known of an operation is forgotten, and read from its beginning', async () => {
  const [known, restored] = [createNode(), createNode()]
  restored.time.nowMs += 1_000
  accepted(await known.commands.submit(open('op-1', 'open')))
  accepted(await restored.commands.submit(open('op-1', 'open')))
  for (const key of ['a', 'b', 'c']) accepted(await restored.commands.submit(report('op-1', key, key)))
  becomes(known, restored)
  const states = [known, restored].map(async ({ commands }) => (await commands.load('op-1'))?.state)
  const [one, other] = (await Promise.all(states)).map((state) => state && plainState(state))
  expect(one).toMatchObject({ id: 'op-1', revision: 3n })
  expect(one).toEqual(other)
  expect(accepted(await submit(known)).revision).toBe(4n)
})

test('a command on it finds that out by its expected revision', async () => {
  const [known, restored] = [createNode(), createNode()]
  restored.time.nowMs += 1_000
  accepted(await known.commands.submit(open('op-1', 'open')))
  accepted(await restored.commands.submit(open('op-1', 'open')))
  for (const key of ['a', 'b', 'c']) accepted(await restored.commands.submit(report('op-1', key, key)))
  becomes(known, restored)
  expect(accepted(await submit(known)).revision).toBe(4n)
  // The receipts are those of the log that is there now.
  expect(accepted(await known.commands.submit(report('op-1', 'a', 'a'))).revision).toBe(1n)
})
