import { describe, expect, test } from 'vitest'
import type { RetryPolicy } from '../../src/client/backOff.ts'
import type { Carrier } from '../../src/client/carriers.ts'
import { reportLine } from '../../src/client/commandLine.ts'
import { type CommandQueue, createCommandQueue, type QueueLimits } from '../../src/client/commandQueue.ts'
import type { Receipt } from '../../src/client/contract.ts'
import type { Failure, Outcome } from '../../src/client/errors.ts'
import { unanswered } from '../../src/client/transport.ts'
import { createManualClock, type ManualClock, settled } from './manualClock.ts'

interface Sent {
  /** The keys, in their order. */
  readonly keys: readonly string[]
  accept(...keys: string[]): void
  fail(key: string, failure: Failure): void
  /** No more results come: why. */
  end(failure?: Failure): Promise<void>
}

interface Bench {
  readonly queue: CommandQueue
  readonly clock: ManualClock
  readonly requests: Sent[]
  /** Gives a report; tells what became of it, once something has. */
  readonly report: (
    operation: string,
    key: string,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ) => { outcome: unknown }
}

const standard: QueueLimits = { linesMax: 100, bytesMax: 1e6, requestsMax: 1, queueLinesMax: 100, queueBytesMax: 1e6 }

function createBench(limits: Partial<QueueLimits> = {}, policy: Partial<RetryPolicy> = {}, random = () => 0.5): Bench {
  const clock = createManualClock()
  const requests: Sent[] = []
  const carry: Carrier = (batch, onResult) =>
    new Promise((resolve) => {
      const keys = batch.map((line) => line.key)
      const result = (key: string, outcome: Outcome<Receipt>) => onResult(keys.indexOf(key), outcome)
      requests.push({
        keys,
        accept: (...accepted) => {
          for (const key of accepted) {
            const revision = keys.indexOf(key)
            const value = { operation: '', command: key, outcome: 'applied', revision, position: '' } as const
            result(key, { kind: 'answer', value })
          }
        },
        fail: (key, failure) => result(key, failure),
        end: (failure) => {
          resolve(failure ?? null)
          return settled()
        },
      })
    })
  const retry = { attemptsMax: 4, timeoutMs: 60_000, backOffMsBase: 100, backOffMsMax: 1_000, ...policy }
  const queue = createCommandQueue(carry, { ...standard, ...limits }, { clock, random, attemptTimeoutMs: 1_000, retry })
  return {
    queue,
    clock,
    requests,
    report(operation, key, options = {}) {
      const told: { outcome: unknown } = { outcome: 'open' }
      queue.submit(reportLine(operation, { service: 's', status: 'x' }, key, undefined), options).then(
        () => {
          told.outcome = 'accepted'
        },
        (error: unknown) => {
          told.outcome = error
        },
      )
      return told
    },
  }
}

function problem(code: string, status: number, retryAfterMs: number | null = null): Failure {
  const document = { type: '', title: '', status, detail: 'planted', instance: '', code }
  return { kind: 'problem', problem: document, retryAfterMs }
}

const lost = unanswered('planted')

describe('gathering', () => {
  test('calls of one tick share a request; those that come while it is under way share the next', async () => {
    const { report, requests } = createBench()
    const first = [report('a', '1'), report('b', '2')]
    await settled()
    for (const key of ['3', '4', '5']) report(key, key)
    await settled()
    expect(requests.map((request) => request.keys)).toEqual([['1', '2']])
    requests[0]?.accept('1', '2')
    await requests[0]?.end()
    expect(first.map((told) => told.outcome)).toEqual(['accepted', 'accepted'])
    expect(requests[1]?.keys).toEqual(['3', '4', '5'])
  })

  test('a request is bounded in lines and in bytes; a line larger than the bound goes alone', async () => {
    const byLines = createBench({ linesMax: 2, requestsMax: 9 })
    for (const key of ['1', '2', '3', '4', '5']) byLines.report(key, key)
    await settled()
    expect(byLines.requests.map((request) => request.keys)).toEqual([
      ['1', '2'],
      ['3', '4'],
    ])
    await byLines.requests[0]?.end(lost)
    const byBytes = createBench({ bytesMax: 10 })
    for (const key of ['1', '2']) byBytes.report(key, key)
    await settled()
    expect(byBytes.requests.map((request) => request.keys)).toEqual([['1']])
  })

  test('another request is opened beside one only for a full batch, and never more than allowed', async () => {
    const { report, requests } = createBench({ linesMax: 3, requestsMax: 2 })
    report('a', '1')
    await settled()
    for (const key of ['2', '3']) report(key, key)
    await settled()
    expect(requests).toHaveLength(1)
    for (const key of ['4', '5', '6', '7', '8', '9']) report(key, key)
    await settled()
    expect(requests.map((request) => request.keys)).toEqual([['1'], ['2', '3', '4']])
  })

  test('an operation is in one request at a time, and back in turn as soon as its own results are here', async () => {
    const { report, requests } = createBench({ linesMax: 2, requestsMax: 3 })
    report('a', 'a1')
    report('b', 'b1')
    await settled()
    for (const key of ['a2', 'a3', 'a4', 'a5']) report('a', key)
    await settled()
    expect(requests).toHaveLength(1)
    requests[0]?.accept('a1')
    await settled()
    expect(requests.map((request) => request.keys)).toEqual([
      ['a1', 'b1'],
      ['a2', 'a3'],
    ])
  })
})

describe('trying again', () => {
  test('after a random wait that grows up to its bound; with the same key; no more often than allowed', async () => {
    const { report, requests, clock } = createBench({}, { attemptsMax: 6 })
    const told = report('a', '1')
    await settled()
    const waits: (number | null)[] = []
    for (let attempt = 0; attempt < 5; attempt += 1) {
      requests[attempt]?.fail('1', problem('contention', 503))
      await requests[attempt]?.end()
      waits.push(clock.nextInMs)
      await clock.advance(clock.nextInMs ?? 0)
    }
    expect(waits).toEqual([50, 100, 200, 400, 500])
    expect(requests.map((request) => request.keys)).toEqual(Array(6).fill(['1']))
    requests[5]?.fail('1', problem('contention', 503))
    await requests[5]?.end()
    expect(told.outcome).toMatchObject({ code: 'contention', attempts: 6, mayHaveLanded: false, command: '1' })
  })

  test('not before Retry-After is over', async () => {
    for (const [code, status] of [
      ['overloaded', 503],
      ['rate_limited', 429],
      ['log_unavailable', 503],
    ] as const) {
      const { report, requests, clock } = createBench()
      report('a', '1')
      await settled()
      await requests[0]?.end(problem(code, status, 7_000))
      report('b', '2')
      await clock.advance(7_049)
      expect(requests).toHaveLength(1)
      await clock.advance(1)
      expect(requests.map((request) => request.keys)).toEqual([['1'], ['1', '2']])
    }
  })

  test('what stays refused is refused at once: other 4xx, 500, codes that are not known', async () => {
    for (const [code, status] of [
      ['invalid', 400],
      ['forbidden', 403],
      ['revision_mismatch', 412],
      ['internal', 500],
      ['new_code', 503],
    ] as const) {
      const { report, requests } = createBench()
      const told = report('a', '1')
      await settled()
      requests[0]?.fail('1', problem(code, status))
      await requests[0]?.end()
      expect(told.outcome).toMatchObject({ code, status, attempts: 1, mayHaveLanded: code === 'internal' })
    }
  })

  test('lines that were not tried go again in their order, before newer ones, and it costs them no attempt', async () => {
    const { report, requests, clock } = createBench({}, { attemptsMax: 2 })
    for (const key of ['1', '2', '3']) report('a', key)
    await settled()
    requests[0]?.accept('1')
    requests[0]?.fail('2', problem('outcome_unknown', 503))
    requests[0]?.fail('3', problem('not_tried', 424))
    await requests[0]?.end()
    report('a', '4')
    const other = report('b', '5')
    await settled()
    expect(requests[1]?.keys).toEqual(['5'])
    requests[1]?.accept('5')
    await requests[1]?.end()
    expect(other.outcome).toBe('accepted')
    await clock.advance(50)
    expect(requests[2]?.keys).toEqual(['2', '3', '4'])
    requests[2]?.accept('2')
    requests[2]?.fail('3', problem('contention', 503))
    await requests[2]?.end(lost)
    await clock.advance(100)
    expect(requests[3]?.keys).toEqual(['3', '4'])
  })

  test('a service that takes nothing is left alone as a whole, for longer and longer, until it takes something', async () => {
    const { report, requests, clock } = createBench()
    report('a', '1')
    await settled()
    await requests[0]?.end(lost)
    report('b', '2')
    await clock.advance(49)
    expect(requests).toHaveLength(1)
    await clock.advance(1)
    expect(requests[1]?.keys).toEqual(['1', '2'])
    await requests[1]?.end(lost)
    expect(clock.nextInMs).toBe(100)
    await clock.advance(100)
    requests[2]?.accept('1')
    await requests[2]?.end(lost)
    report('c', '3')
    await settled()
    expect(requests[3]?.keys).toEqual(['3'])
  })
})

describe('giving up', () => {
  test('one with an open outcome takes those behind it along, for it may still arrive', async () => {
    const { report, requests } = createBench({ linesMax: 1 }, { attemptsMax: 1 })
    const [first, second] = [report('a', '1'), report('a', '2')]
    const other = report('b', '3')
    await settled()
    await requests[0]?.end(lost)
    expect(first.outcome).toMatchObject({ code: 'unanswered', mayHaveLanded: true, attempts: 1 })
    expect(second.outcome).toMatchObject({ name: 'WaybillNotTried', command: '2', mayHaveLanded: false, attempts: 0 })
    expect(other.outcome).toBe('open')
  })

  test('one that was not taken lets those behind it go on', async () => {
    const { report, requests, clock } = createBench({ linesMax: 1 }, { attemptsMax: 1 })
    const first = report('a', '1')
    report('a', '2')
    await settled()
    requests[0]?.fail('1', problem('contention', 503))
    await requests[0]?.end()
    await clock.advance(1_000)
    expect(first.outcome).toMatchObject({ code: 'contention', mayHaveLanded: false })
    expect(requests[1]?.keys).toEqual(['2'])
  })

  test('an attempt that may have landed is not forgotten for a later one that was turned away', async () => {
    const { report, requests, clock } = createBench({}, { attemptsMax: 2 })
    const told = report('a', '1')
    await settled()
    await requests[0]?.end(lost)
    await clock.advance(50)
    requests[1]?.fail('1', problem('overloaded', 503))
    await requests[1]?.end()
    expect(told.outcome).toMatchObject({ code: 'overloaded', mayHaveLanded: true, attempts: 2 })
  })

  test('no attempt begins that would be too late: the error comes at once, not at the deadline', async () => {
    const { report, requests, clock } = createBench()
    const told = report('a', '1', { timeoutMs: 5_000 })
    await settled()
    requests[0]?.fail('1', problem('overloaded', 503, 6_000))
    await requests[0]?.end()
    expect(told.outcome).toMatchObject({ code: 'overloaded', attempts: 1 })
    expect(clock.now()).toBe(0)
  })

  test('at the deadline: unsent, it is withdrawn; under way, its outcome is open, and it is not sent again', async () => {
    const { report, requests, clock, queue } = createBench({ linesMax: 1 })
    const [sent, unsent] = [report('a', '1', { timeoutMs: 500 }), report('a', '2', { timeoutMs: 400 })]
    await settled()
    await clock.advance(400)
    expect(unsent.outcome).toMatchObject({ code: 'unanswered', mayHaveLanded: false, attempts: 0 })
    await clock.advance(100)
    expect(sent.outcome).toMatchObject({ code: 'unanswered', mayHaveLanded: true, attempts: 1 })
    const behind = report('a', '3')
    await requests[0]?.end(lost)
    await clock.advance(5_000)
    expect(behind.outcome).toMatchObject({ code: 'not_tried' })
    expect(requests).toHaveLength(1)
    expect(queue.pending).toBe(0)
  })

  test('an abort withdraws what is unsent; what was sent is seen through, in its place', async () => {
    const { report, requests, clock, queue } = createBench({ linesMax: 1 })
    const [sent, unsent] = [new AbortController(), new AbortController()]
    const first = report('a', '1', { signal: sent.signal })
    const second = report('a', '2', { signal: unsent.signal })
    const third = report('a', '3')
    await settled()
    sent.abort('enough')
    unsent.abort('never mind')
    await settled()
    expect([first.outcome, second.outcome]).toEqual(['enough', 'never mind'])
    await requests[0]?.end(lost)
    await clock.advance(50)
    expect(requests[1]?.keys).toEqual(['1'])
    requests[1]?.accept('1')
    await requests[1]?.end()
    expect(requests[2]?.keys).toEqual(['3'])
    requests[2]?.accept('3')
    await requests[2]?.end()
    expect(third.outcome).toBe('accepted')
    expect(queue.pending).toBe(0)
    expect(clock.nextInMs).toBe(null)
  })
})

describe('bounds', () => {
  const lineLength = reportLine('1', { service: 's', status: 'x' }, '1', undefined).line.length

  test('a full queue refuses, unsent; ready() tells when there is room again', async () => {
    for (const limits of [{ queueLinesMax: 4 }, { queueBytesMax: 4 * lineLength }]) {
      const { report, requests, queue } = createBench({ linesMax: 2, ...limits })
      const taken = ['1', '2', '3', '4'].map((key) => report(key, key))
      const refused = report('5', '5')
      let ready = false
      void queue.ready(undefined).then(() => {
        ready = true
      })
      await settled()
      expect(refused.outcome).toMatchObject({ name: 'WaybillQueueFull', code: 'queue_full', mayHaveLanded: false })
      expect(taken.map((told) => told.outcome)).toEqual(Array(4).fill('open'))
      requests[0]?.accept('1', '2')
      await requests[0]?.end()
      expect(ready).toBe(false)
      requests[1]?.accept('3')
      await settled()
      expect(ready).toBe(true)
    }
  })

  test('close() takes no more and waits for the rest', async () => {
    const { report, requests, queue } = createBench()
    const told = report('a', '1')
    let closed = false
    const closing = queue.close().then(() => {
      closed = true
    })
    const late = report('a', '2')
    await settled()
    expect(late.outcome).toMatchObject({ name: 'WaybillClosed', code: 'closed', mayHaveLanded: false })
    expect(closed).toBe(false)
    requests[0]?.accept('1')
    await closing
    expect(told.outcome).toBe('accepted')
  })

  test('ready() can be aborted', async () => {
    const { report, queue } = createBench({ queueLinesMax: 1 })
    report('a', '1')
    await expect(queue.ready(AbortSignal.abort('no'))).rejects.toBe('no')
    const controller = new AbortController()
    const waiting = queue.ready(controller.signal)
    controller.abort('later')
    await expect(waiting).rejects.toBe('later')
  })
})
