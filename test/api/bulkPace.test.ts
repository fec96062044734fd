import { describe, expect, it } from 'vitest'
import { createBulkPace } from '../../src/api/bulk/bulkPace.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { Projector, ProjectorPhase } from '../../src/projections/readModel.ts'

function pace(positionsPerEvent?: number) {
  const at = { phase: 'live' as ProjectorPhase, position: 0n, nowMs: 0 }
  const log = createMemoryEventLog()
  const status = () => ({ phase: at.phase, position: at.position }) as ReturnType<Projector['status']>
  const projector = { status }
  return {
    at,
    pace: createBulkPace(
      { log: positionsPerEvent === undefined ? log : { ...log, positionsPerEvent }, projector },
      () => at.nowMs,
    ),
  }
}

describe('bulk uploads', () => {
  it('are held back while the projector is more than 2,000 events behind them, and no longer', () => {
    const { at, pace: bulk } = pace()
    expect(bulk.isAhead()).toBe(false)
    bulk.appended(2_000n)
    expect(bulk.isAhead()).toBe(false)
    bulk.appended(5_000n)
    bulk.appended(4_000n)
    expect(bulk.isAhead()).toBe(true)
    at.position = 2_999n
    expect(bulk.isAhead()).toBe(true)
    at.position = 3_000n
    expect(bulk.isAhead()).toBe(false)
    at.position = 9_000n
    expect(bulk.isAhead()).toBe(false)
  })

  it('do not wait for a projector that stands still: paused, on another node, or stuck for a second', () => {
    const { at, pace: bulk } = pace()
    bulk.appended(50_000n)
    for (const phase of ['waiting', 'paused', 'retrying', 'rebuilding'] as const) {
      at.phase = phase
      expect(bulk.isAhead()).toBe(false)
    }
    at.phase = 'live'
    expect(bulk.isAhead()).toBe(true)
    at.nowMs = 999
    expect(bulk.isAhead()).toBe(true)
    at.nowMs = 1_000
    expect(bulk.isAhead()).toBe(false)
    at.nowMs = 30_000
    expect(bulk.isAhead()).toBe(false)
    at.position = 1n
    expect(bulk.isAhead()).toBe(true)
  })

  it('are measured in events where positions are places in a file', () => {
    const { pace: bulk } = pace(1_000)
    bulk.appended(2_000_000n)
    expect(bulk.isAhead()).toBe(false)
    bulk.appended(2_001_001n)
    expect(bulk.isAhead()).toBe(true)
  })
})
