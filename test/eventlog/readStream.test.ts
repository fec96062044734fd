import { afterEach, beforeEach, expect, test } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { eventAt, lastEvent, streamEvents, streamPages } from '../../src/eventlog/readStream.ts'

const stream = 'operation-1'
let log: EventLog
let reads: number[]

beforeEach(async () => {
  const memory = createMemoryEventLog()
  reads = []
  log = {
    ...memory,
    readStream(name, options) {
      reads.push(options.maxCount)
      return memory.readStream(name, options)
    },
  }
  await append(7)
})

afterEach(() => log.close())

async function append(count: number): Promise<void> {
  const last = await lastEvent(log, stream)
  const events = Array.from({ length: count }, () => ({
    id: crypto.randomUUID(),
    type: 'StatusChanged',
    data: '{}',
    metadata: '{}',
  }))
  const [outcome] = await log.append([{ stream, expectedRevision: last?.revision ?? 'noStream', events }])
  expect(outcome?.kind).toBe('appended')
}

async function pageSizes(options: Parameters<typeof streamPages>[2]): Promise<number[]> {
  const sizes: number[] = []
  for await (const page of streamPages(log, stream, options)) sizes.push(page.length)
  return sizes
}

async function revisions(options: Parameters<typeof streamPages>[2]): Promise<number[]> {
  const found: number[] = []
  for await (const { revision } of streamEvents(log, stream, options)) found.push(Number(revision))
  return found
}

test('pages follow on each other to the end of the stream, and none is empty', async () => {
  expect(await pageSizes({ pageSize: 3 })).toEqual([3, 3, 1])
  expect(await pageSizes({ pageSize: 7 })).toEqual([7])
  expect(await revisions({ pageSize: 2 })).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(await revisions({ pageSize: 2, fromRevision: 4n })).toEqual([4, 5, 6])
  expect(await revisions({ pageSize: 2, fromRevision: 7n })).toEqual([])
})

test('what comes after the last revision asked for is not read', async () => {
  reads = []
  expect(await revisions({ pageSize: 3, fromRevision: 1n, toRevision: 4n })).toEqual([1, 2, 3, 4])
  expect(reads).toEqual([3, 1])
  expect(await revisions({ pageSize: 3, toRevision: 100n })).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(await revisions({ pageSize: 3, fromRevision: 3n, toRevision: 2n })).toEqual([])
})

test('what is appended while pages are read is read as well', async () => {
  const found: number[] = []
  for await (const page of streamPages(log, stream, { pageSize: 7 })) {
    found.push(page.length)
    if (found.length === 1) await append(2)
  }
  expect(found).toEqual([7, 2])
})

test('one event: the last, one at a revision, or none', async () => {
  expect((await lastEvent(log, stream))?.revision).toBe(6n)
  expect(await lastEvent(log, 'operation-2')).toBeNull()
  expect((await eventAt(log, stream, 4n))?.revision).toBe(4n)
  expect(await eventAt(log, stream, 7n)).toBeNull()
})
