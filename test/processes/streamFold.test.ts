import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { audit } from '../../src/processes/auditChecks.ts'
import { foldStream, type StreamFold } from '../../src/processes/streamFold.ts'
import type { AuditRows } from '../../src/projections/auditRows.ts'
import { plainState } from '../operation/support/plainState.ts'
import { Journal } from '../projections/support/journal.ts'
import { linear } from '../projections/support/pipelines.ts'

const never = new AbortController().signal

/** One operation with so many events. */
async function longStream(count: number): Promise<Journal> {
  const journal = new Journal(createMemoryEventLog())
  await journal.open('op-1')
  const requests = []
  for (let index = 1; index < count; index += 1) {
    const request = journal.decide('op-1', {
      type: 'ReportStatus',
      service: 'svc',
      status: `s${index}`,
      data: { index },
    })
    if (request !== null) requests.push(request)
  }
  await journal.append(requests)
  return journal
}

describe('folding a stream', () => {
  it('ends where it is told to, and says what comes next', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('linear', linear)
    await journal.open('op-1', { pipeline: 'linear' })
    const opened = journal.states.get('op-1')
    await journal.report('op-1', 'status1')
    await journal.report('op-1', 'status2')
    const at = (revision: bigint) => foldStream(journal.log, 'operation-op-1', revision, never)
    expect(await at(-1n)).toMatchObject({ kind: 'folded', last: null, next: { revision: 0n, position: 2n } })
    assert.ok(opened !== undefined)
    expect(plain(await at(0n))).toMatchObject({
      kind: 'folded',
      last: { state: { ...plainState(opened), pipeline: { name: 'linear' } }, position: 2n },
      next: { revision: 1n, position: 3n },
    })
    expect(await at(2n)).toMatchObject({ kind: 'folded', last: { state: { revision: 2n } }, next: null })
    expect(await at(3n)).toEqual({ kind: 'short', revision: 2n })
    expect(await foldStream(journal.log, 'operation-op-2', -1n, never)).toEqual({
      kind: 'folded',
      last: null,
      next: null,
    })
    expect(await foldStream(journal.log, 'operation-op-2', 0n, never)).toEqual({ kind: 'short', revision: -1n })
  })

  it.each([1, 49, 50, 51, 99, 100, 101, 250])(
    'reads %i events page by page, as it reads them at once',
    async (count) => {
      const journal = await longStream(count)
      const last = BigInt(count) - 1n
      const state = journal.states.get('op-1')
      expect(plain(await foldStream(journal.log, 'operation-op-1', last, never))).toMatchObject({
        kind: 'folded',
        last: { state: { lastHash: state?.lastHash, data: state?.data.value }, position: BigInt(count) },
        next: null,
      })
      expect(await foldStream(journal.log, 'operation-op-1', last + 1n, never)).toEqual({
        kind: 'short',
        revision: last,
      })
    },
  )

  it('says which event is not what was hashed, on whatever page', async () => {
    const journal = await longStream(120)
    for (const broken of [0n, 49n, 50n, 119n]) {
      const altered = {
        ...journal.log,
        readStream: async (...call: Parameters<EventLog['readStream']>) =>
          (await journal.log.readStream(...call)).map((event) =>
            event.revision === broken ? { ...event, data: `${event.data} ` } : event,
          ),
      }
      const fold = await foldStream(altered, 'operation-op-1', 119n, never)
      expect(fold).toMatchObject({ kind: 'broken', tampered: { stream: 'operation-op-1', revision: broken } })
    }
    const cut: Pick<EventLog, 'readStream'> = {
      readStream: async (...call) => (await journal.log.readStream(...call)).filter(({ revision }) => revision !== 60n),
    }
    expect(await foldStream(cut, 'operation-op-1', 119n, never)).toMatchObject({
      kind: 'broken',
      tampered: { revision: 61n },
    })
  })

  it('says so of what comes after the last event that is folded: of the next, or of as many as are asked for', async () => {
    const journal = await longStream(120)
    const altered: Pick<EventLog, 'readStream'> = {
      readStream: async (...call) =>
        (await journal.log.readStream(...call)).map((event) =>
          event.revision === 60n ? { ...event, data: `${event.data} ` } : event,
        ),
    }
    const at = (revision: bigint, verifiedTo?: bigint) =>
      foldStream(altered, 'operation-op-1', revision, never, verifiedTo === undefined ? {} : { verifiedTo })
    expect(await at(59n)).toMatchObject({ kind: 'broken', tampered: { revision: 60n } })
    expect(await at(58n)).toMatchObject({ kind: 'folded', next: { revision: 59n } })
    expect(await at(20n, 59n)).toMatchObject({ kind: 'folded', last: { position: 21n }, next: { revision: 21n } })
    expect(await at(20n, 1_000n)).toMatchObject({ kind: 'broken', tampered: { revision: 60n } })
  })

  it('says so of the stream that defines its pipeline', async () => {
    const journal = new Journal(createMemoryEventLog())
    await journal.define('linear', linear)
    await journal.open('op-1', { pipeline: 'linear' })
    await journal.define('linear', { ...linear, outOfOrder: 'reject' })
    for (const broken of [0n, 1n]) {
      const altered: Pick<EventLog, 'readStream'> = {
        readStream: async (...call) =>
          (await journal.log.readStream(...call)).map((event) =>
            event.stream === 'pipeline-linear' && event.revision === broken
              ? { ...event, data: event.data.replace('status1', 'status0') }
              : event,
          ),
      }
      // The version after it tells whether its own hash was made anew.
      expect(await foldStream(altered, 'operation-op-1', 0n, never)).toMatchObject({
        kind: 'broken',
        tampered: { stream: 'pipeline-linear', revision: broken },
      })
    }
  })

  it('goes on behind an event that is passed over, whatever that says, but not when it was tampered with', async () => {
    const journal = await longStream(30)
    const skipped = await journal.poison('op-1')
    for (let index = 0; index < 30; index += 1) await journal.report('op-1', `t${index}`, { data: { index } })
    const passedOver = (revision: bigint): boolean => revision === skipped
    const at = (revision: bigint) => foldStream(journal.log, 'operation-op-1', revision, never, { passedOver })
    const unskipped = await foldStream(journal.log, 'operation-op-1', 60n, never)
    expect(unskipped).toMatchObject({ kind: 'unfoldable', revision: skipped })
    // Each report replaces what the one before said.
    expect(plain(await at(60n))).toMatchObject({
      kind: 'folded',
      last: { state: { lastHash: journal.states.get('op-1')?.lastHash, data: { index: 29 } } },
    })
    expect(await at(skipped)).toMatchObject({
      kind: 'folded',
      last: { state: { revision: skipped }, position: skipped + 1n },
    })
    const spoilt: Pick<EventLog, 'readStream'> = {
      readStream: async (...call) =>
        (await journal.log.readStream(...call)).map((event) =>
          event.revision === skipped ? { ...event, data: '[]' } : event,
        ),
    }
    const broken = { kind: 'broken', tampered: { revision: skipped } }
    expect(await foldStream(spoilt, 'operation-op-1', 60n, never, { passedOver })).toMatchObject(broken)
  })

  it('never holds more than a page, and lets others have their turns', async () => {
    const journal = await longStream(5_000)
    let most = 0
    let turns = 0
    let folding = true
    const tick = (): void => {
      turns += 1
      if (folding) setImmediate(tick)
    }
    const counted: Pick<EventLog, 'readStream'> = {
      readStream: async (...call) => {
        const page = await journal.log.readStream(...call)
        most = Math.max(most, page.length)
        return page
      },
    }
    tick()
    await foldStream(counted, 'operation-op-1', 4_999n, never)
    folding = false
    expect(most).toBeLessThanOrEqual(50)
    expect(turns).toBeGreaterThan(100)
  })

  it('stops at the next page when told to', async () => {
    const journal = await longStream(500)
    const stopping = new AbortController()
    let pages = 0
    const counted: Pick<EventLog, 'readStream'> = {
      readStream: (...call) => {
        pages += 1
        if (pages === 2) stopping.abort(new Error('stopped'))
        return journal.log.readStream(...call)
      },
    }
    await expect(foldStream(counted, 'operation-op-1', 499n, stopping.signal)).rejects.toThrow('stopped')
    expect(pages).toBe(2)
  })

  it('of 100,000 events is not begun', async () => {
    const unread: Pick<EventLog, 'readStream'> = { readStream: () => Promise.reject(new Error('read')) }
    const row = { revision: 99_999n } as NonNullable<Awaited<ReturnType<AuditRows['operation']>>>['row']
    const rows = {
      operation: async () => ({ checkpoint: 100_000n, row, parked: null }),
      definition: async () => null,
      countsByName: async () => false,
      countShape: async () => null,
    }
    expect(await audit({ log: unread, rows }, { of: 'operation', id: 'op-1' }, never)).toEqual({
      kind: 'skipped',
      reason: 'too_long',
    })
  })
})

function plain(fold: StreamFold) {
  if (fold.kind !== 'folded' || fold.last === null) return fold
  return { ...fold, last: { ...fold.last, state: plainState(fold.last.state) } }
}
