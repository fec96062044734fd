import { afterEach, expect, it, vi } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { Batch } from '../../src/projections/batch.ts'
import { CheckpointSignal } from '../../src/projections/checkpointSignal.ts'
import { FoldMemory } from '../../src/projections/foldMemory.ts'
import { Follower } from '../../src/projections/follower.ts'
import { LagMeter } from '../../src/projections/lagMeter.ts'
import type { FoldedRows } from '../../src/projections/projectionStore.ts'
import { eventually } from './support/eventually.ts'

afterEach(() => void vi.restoreAllMocks())

it('goes on folding when the wall clock goes back by an hour', async () => {
  const log = createMemoryEventLog()
  const committed: Batch[] = []
  const rows: FoldedRows = {
    loadPipelines: async () => undefined,
    loadCountedStatuses: async () => [],
    loadParked: async () => undefined,
    loadStates: async () => [],
    commit: async (batch) => void committed.push(batch),
  }
  let ends = false
  const follower = new Follower({
    settings: { log, signal: new CheckpointSignal(), store: noStore },
    memory: new FoldMemory(1_000_000, log),
    lag: new LagMeter(),
    shouldEnd: () => ends,
    onIdle: async () => undefined,
    onCommit: () => undefined,
  })
  const following = follower.follow(rows, 0n, () => undefined)
  // Of a kind that the projection passes by.
  const append = (stream: string) =>
    log.append([
      {
        stream,
        expectedRevision: 'noStream',
        events: [{ id: crypto.randomUUID(), type: 'T', data: '{}', metadata: '{}' }],
      },
    ])
  await append('other-1')
  await eventually('the first is folded', async () => (committed.length === 1 ? true : undefined))
  const wall = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => wall() - 3_600_000)
  await append('other-2')
  await eventually('the second is folded', async () => (committed.length === 2 ? true : undefined))
  ends = true
  follower.wake()
  expect(await following).toEqual({ kind: 'ended', position: 2n })
})

const noStore = {
  connect: () => Promise.reject(new Error('not asked for')),
  openShadow: () => Promise.reject(new Error('not asked for')),
  dropShadow: () => Promise.reject(new Error('not asked for')),
}
