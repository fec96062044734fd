import { expect, test } from 'vitest'
import { namedPairsMax, type ReportCount, ReportCounts } from '../../src/commands/reportCounts.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { Command } from '../../src/operation/commands.ts'
import { unavailable, unknownLost } from './faultyEventLog.ts'
import { createNode, definePipeline, linear, open, report } from './node.ts'

const lines = (counts: Iterable<ReportCount>) =>
  [...counts].map(({ pipeline, service, outcome, reason, count }) =>
    [pipeline, service, outcome, reason, count].join(' '),
  )

test('every answer to a report is counted, by what became of it', async () => {
  const node = createNode(createMemoryEventLog(), { queuedCommandsMax: 4 })
  const { metrics } = node.commands
  const submit = (command: Command) => node.commands.submit(command)
  await definePipeline(node, 'invoice', linear)
  await submit(open('op-1', 'open', { pipeline: 'invoice' }))
  await submit(report('op-1', 'key-1', 'new'))
  await submit(report('op-1', 'key-2', 'new', { service: 'scan' }))
  await submit(report('op-1', 'key-3', 'nonsense'))
  await submit(report('op-2', 'key-4', 'new', { pipeline: 'invoice' }))
  await submit(report('op-3', 'key-5', 'new'))
  await submit(report('op-4', 'key-6', 'new', { pipeline: 'undefined-one' }))
  node.log.failNextAppend(unavailable)
  await submit(report('op-1', 'key-7', 'read'))
  node.log.failNextAppend(unknownLost)
  await submit(report('op-1', 'key-8', 'read'))
  await Promise.all(
    Array.from({ length: 6 }, (_, n) => submit(report('op-1', `key-9-${n}`, 'read', { service: 'many' }))),
  )
  expect(lines(metrics.reports())).toEqual([
    'invoice ocr ignored duplicate 1',
    'invoice ocr refused unknown_status 1',
    'invoice ocr applied  1',
    'invoice ocr failed log_unavailable 1',
    'invoice ocr failed outcome_unknown 1',
    'invoice scan ignored duplicate 1',
    'invoice many failed overloaded 2',
    'invoice many applied  1',
    'invoice many ignored duplicate 3',
    'unknown ocr refused not_found 2',
  ])
})

test('services beyond the bound are counted together, by pipeline as long as that has a name', () => {
  const counts = new ReportCounts()
  for (let n = 0; n < namedPairsMax; n += 1) counts.add(n % 2 === 0 ? 'even' : 'odd', `service-${n}`, 'applied', '')
  for (let n = 0; n < 1_000; n += 1) counts.add('even', `late-${n}`, 'applied', '')
  for (let n = 0; n < 1_000; n += 1) counts.add(`pipeline-${n}`, 'service', 'refused', 'not_found')
  counts.add('odd', 'service-1', 'applied', '')
  const counted = lines(counts.all())
  expect(counted).toHaveLength(namedPairsMax + 2)
  expect(counted).toContain('even other applied  1000')
  expect(counted).toContain('other other refused not_found 1000')
  expect(counted).toContain('odd service-1 applied  2')
})
