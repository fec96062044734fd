import { expect, test } from 'vitest'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { createUnreadableReports } from '../../src/commands/unreadableReports.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { open, report } from './node.ts'

function loggedLines() {
  const lines: Readonly<Record<string, unknown>>[] = []
  const error = (fields: Readonly<Record<string, unknown>>) => lines.push(fields)
  return { lines, logger: { error, warn: error } }
}

test('a stream that cannot be read is logged once a minute, and counted each time', async () => {
  const { lines, logger } = loggedLines()
  const log = createMemoryEventLog()
  let nowMs = 0
  const commands = createCommandService({ log, clock: Date.now, monotonicMs: () => nowMs, logger })
  const events = [{ id: '00000000-0000-4000-8000-000000000001', type: 'Nonsense', data: '{}', metadata: '{}' }]
  await log.append([{ stream: 'operation-bad', expectedRevision: 'noStream', events }])
  const send = async (count: number) => {
    for (let n = 0; n < count; n += 1) await commands.submit(report('bad', `key-${n}`, 'read'))
  }
  await send(50)
  expect(lines).toMatchObject([{ stream: 'operation-bad', unsaid: 0 }])
  nowMs += 60_000
  await send(2)
  expect(lines).toMatchObject([{ unsaid: 0 }, { stream: 'operation-bad', unsaid: 49 }])
  expect(commands.metrics.unreadable()).toBe(52)
  await commands.submit(open('good', 'key'))
  expect(commands.metrics.unreadable()).toBe(52)
})

test('of any number of streams, a hundred a minute are logged', () => {
  const { lines, logger } = loggedLines()
  let nowMs = 0
  const reports = createUnreadableReports(logger, () => nowMs)
  for (let n = 0; n < 10_000; n += 1) reports.report(`operation-${n}`, new Error('x'))
  expect(lines).toHaveLength(100)
  nowMs += 60_000
  reports.report('operation-0', new Error('x'))
  expect(lines.at(-1)).toMatchObject({ stream: 'operation-0', unsaid: 9_900 })
  expect(reports.count()).toBe(10_001)
})
