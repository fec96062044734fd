import { expect, test, vi } from 'vitest'
import type { AppendFault } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, open, report } from './node.ts'

const bug = new Error('a bug')

function loggedNode() {
  const error = vi.fn()
  return { node: createNode(undefined, {}, { logger: { error, warn: error } }), error }
}

test('a command that cannot be decided rejects and is logged, and the others of its batch go on', async () => {
  const { node, error } = loggedNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  const broken = report('op-1', 'key-1', 'read')
  Object.defineProperty(broken.body, 'type', {
    get() {
      throw bug
    },
  })
  const group = { failed: new Map<string, number>() }
  const first = node.commands.submit(broken, group)
  const second = node.commands.submit(report('op-1', 'key-2', 'read'))
  await expect(first).rejects.toBe(bug)
  expect(accepted(await second).revision).toBe(1n)
  expect(error.mock.calls).toEqual([[{ err: bug, operation: 'op-1' }, 'a command could not be decided']])
  expect(group.failed.get('op-1')).toBe(2)
  expect(codeOf(await node.commands.submit(report('op-1', 'key-3', 'read'), group))).toBe('not_tried')
  expect(node.commands.metrics.inFlight()).toBe(0)
})

test('an answer of the log that cannot be taken in: its callers are told of the bug, and the log is read again', async () => {
  const { node, error } = loggedNode()
  accepted(await node.commands.submit(open('op-1', 'open')))
  const brokenAnswer: AppendFault = async (batch, forward) => {
    await forward(batch)
    return batch.map(() => ({
      get kind(): never {
        throw bug
      },
    }))
  }
  node.log.failNextAppend(brokenAnswer)
  const lost = ['key-1', 'key-2'].map((key) => node.commands.submit(report('op-1', key, key)))
  for (const { status } of await Promise.allSettled(lost)) expect(status).toBe('rejected')
  await expect(lost[0]).rejects.toBe(bug)
  expect(error.mock.calls).toEqual([[{ err: bug }, 'the log rejected a batch instead of answering it']])
  expect(node.commands.cached('op-1')).toBeNull()
  expect(node.commands.metrics.inFlight()).toBe(0)
  expect(accepted(await node.commands.submit(report('op-1', 'key-3', 'read'))).revision).toBe(3n)
  expect(node.log.appends).toHaveLength(3)
})

test('a log that rejects instead of answering is logged', async () => {
  const { node, error } = loggedNode()
  node.log.failNextAppend(() => Promise.reject(bug))
  expect(codeOf(await node.commands.submit(open('op-1', 'open')))).toBe('outcome_unknown')
  expect(error.mock.calls).toEqual([[{ err: bug }, 'the log rejected a batch instead of answering it']])
})
