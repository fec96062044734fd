import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AppendOutcome, type EventLog, LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { watchWrites } from '../../src/eventlog/writeWatch.ts'
import { newStream } from './logDatabase.ts'

const failingMsMax = 10_000

describe('the watch on writes', () => {
  let said: AppendOutcome['kind']
  let reads: 'answered' | 'refused' | 'unanswered'
  let failing: number
  let log: EventLog

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    said = 'appended'
    reads = 'answered'
    failing = 0
    const memory = createMemoryEventLog()
    const sick: EventLog = {
      ...memory,
      append: (batch) =>
        said === 'appended'
          ? memory.append(batch)
          : Promise.resolve(batch.map(() => ({ kind: said }) as AppendOutcome)),
      head: () => {
        if (reads === 'refused') return Promise.reject(new LogUnavailableError('gone'))
        return reads === 'answered' ? memory.head() : new Promise(() => undefined)
      },
    }
    log = watchWrites(sick, { failingMsMax, onFailing: () => failing++ })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  async function writeEach(everyMs: number, forMs: number): Promise<void> {
    for (let ms = 0; ms < forMs; ms += everyMs) {
      await log.append([newStream()])
      await vi.advanceTimersByTimeAsync(everyMs)
    }
  }

  it.each(['unavailable', 'unknown'] as const)('tells, once, that writes have been %s for so long', async (kind) => {
    said = kind
    await writeEach(1_000, failingMsMax - 1)
    expect(failing).toBe(1)
    await writeEach(1_000, 2 * failingMsMax)
    expect(failing).toBe(1)
  })

  it('begins anew after each write that succeeds', async () => {
    for (let n = 0; n < 5; n += 1) {
      said = 'unavailable'
      await writeEach(1_000, failingMsMax - 2_000)
      said = 'appended'
      await writeEach(1_000, 1_000)
    }
    expect(failing).toBe(0)
  })

  it('takes a refusal for what it is: the log works', async () => {
    for (const kind of ['conflict', 'duplicate', 'rejected', 'untried'] as const) {
      said = kind
      await writeEach(1_000, 2 * failingMsMax)
    }
    expect(failing).toBe(0)
  })

  it('asks the log when nobody has tried for a while', async () => {
    for (const [answer, expected] of [
      ['answered', 0],
      ['refused', 1],
      ['unanswered', 2],
    ] as const) {
      reads = answer
      said = 'unavailable'
      await log.append([newStream()])
      await vi.advanceTimersByTimeAsync(2 * failingMsMax)
      expect(failing, answer).toBe(expected)
      said = 'appended'
      await log.append([newStream()])
    }
  })

  it('is over when the log is closed', async () => {
    said = 'unavailable'
    await log.append([newStream()])
    await log.close()
    await vi.advanceTimersByTimeAsync(2 * failingMsMax)
    expect(failing).toBe(0)
  })
})
