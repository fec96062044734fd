import { randomUUID } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createUnreadResults } from '../../src/api/bulk/bulkAnswer.ts'
import { BulkRun } from '../../src/api/bulk/bulkRun.ts'
import { createBulkScheduler, refusedPerTick } from '../../src/api/bulk/bulkScheduler.ts'
import { BulkShare } from '../../src/api/bulk/bulkShare.ts'
import { allResults } from '../../src/api/bulk/resultForm.ts'
import type { ApiContext } from '../../src/api/context.ts'
import { defaultApiLimits as limits } from '../../src/api/limits.ts'
import { createPositionTokens } from '../../src/api/positionToken.ts'
import { createRateCounts } from '../../src/api/rateLimit.ts'

/** Lines that are refused ask nothing else of it. */
const context = { limits, draining: new AbortController().signal } as ApiContext
const sender = { caller: { name: 'a' }, traceparent: undefined, owner: 'one', isAllowed: () => true }

/** All in one chunk. */
function uploadOf(lines: number): IncomingMessage {
  const upload = new IncomingMessage(new Socket())
  upload.push('{"type":"Nothing"}\n'.repeat(lines))
  upload.push(null)
  return upload
}

/** Of the event loop. */
function countTurns(): { turn(): number; end(): void } {
  let count = 0
  let immediate: NodeJS.Immediate
  const next = (): void => {
    count += 1
    immediate = setImmediate(next)
  }
  immediate = setImmediate(next)
  return { turn: () => count, end: () => clearImmediate(immediate) }
}

describe('the scheduler of bulk uploads', () => {
  it('come to one at a time, in order, each in a turn of the loop of its own', async () => {
    const scheduler = createBulkScheduler()
    const loop = countTurns()
    const came = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => [await scheduler.next('owner'), name, loop.turn()] as const),
    )
    loop.end()
    expect(came.map(([, name]) => name)).toEqual(['a', 'b', 'c'])
    expect(new Set(came.map(([, , turn]) => turn)).size).toBe(3)
  })

  it('leave no room taken when a client has left before its answer was begun', async () => {
    const unread = createUnreadResults({ bulkUnreadBytesMax: 1 })
    const room = {
      rate: createRateCounts(0),
      share: new BulkShare({ bulkCommandsMax: 1_000, bulkCommandsTotalMax: 1_000 }),
      pace: { appended: () => undefined, isAhead: () => false },
      scheduler: createBulkScheduler(),
      unread,
    }
    const request = uploadOf(1_000)
    const response = new ServerResponse(request)
    const form = allResults(createPositionTokens(randomUUID()))
    const run = new BulkRun(context, room, { request, response, unpacked: null, sender, form })
    const running = run.run()
    await run.begun
    expect(unread.bytes()).toBeGreaterThan(0)
    response.emit('close')
    expect(unread.bytes()).toBe(0)
    await running
  })

  it('leave the loop to others while thousands of lines are refused', async () => {
    const room = {
      rate: createRateCounts(0),
      share: new BulkShare({ bulkCommandsMax: 10_000, bulkCommandsTotalMax: 20_000 }),
      pace: { appended: () => undefined, isAhead: () => false },
      scheduler: createBulkScheduler(),
      unread: createUnreadResults(limits),
    }
    const loop = countTurns()
    const linesInTurn = new Map<number, number>()
    const answered = async (): Promise<number> => {
      const request = uploadOf(1_000)
      const response = new ServerResponse(request)
      const form = allResults(createPositionTokens(randomUUID()))
      const run = new BulkRun(context, room, { request, response, unpacked: null, sender, form })
      void run.run()
      let lines = 0
      for await (const chunk of run.results) {
        const count = String(chunk).split('\n').length - 1
        lines += count
        linesInTurn.set(loop.turn(), (linesInTurn.get(loop.turn()) ?? 0) + count)
      }
      return lines
    }
    expect(await Promise.all([answered(), answered(), answered()])).toEqual([1_000, 1_000, 1_000])
    loop.end()
    expect(Math.max(...linesInTurn.values())).toBeLessThanOrEqual(3 * refusedPerTick)
    expect(loop.turn()).toBeGreaterThan(3_000 / refusedPerTick - 3)
  })
})
