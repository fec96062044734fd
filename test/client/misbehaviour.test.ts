import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WaybillError } from '../../src/client/errors.ts'
import {
  createFaultyEventLog,
  type FaultyEventLog,
  unavailable,
  unknownLanded,
  unknownLost,
} from '../commands/faultyEventLog.ts'
import { patienceMs } from '../support/patience.ts'
import { type Fault, type MisbehavingServer, startMisbehavingServer } from './misbehavingServer.ts'
import { type RunningService, startService } from './service.ts'

let log: FaultyEventLog
let service: RunningService
let between: MisbehavingServer

beforeAll(async () => {
  service = await startService({
    projecting: false,
    wrapLog: (memory) => {
      log = createFaultyEventLog(memory)
      return log
    },
  })
  between = await startMisbehavingServer(service.url)
})

afterAll(async () => {
  await between.close()
  await service.close()
})

const fault: fc.Arbitrary<Fault> = fc.oneof(
  // Takes the whole of an attempt's time.
  { weight: 1, arbitrary: fc.constant<Fault>({ kind: 'silent' }) },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'pass',
        'cutBefore',
        'cutAfter',
        'late',
        'drip',
        'overloaded',
        'tooMany',
        'proxyPage',
        'badGateway',
        'garbage',
      ),
    } as const),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('cutDuring', 'endEarly', 'garbageLine'),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    } as const),
  },
)

const logFaults = { unavailable, unknownLanded, unknownLost, none: null }

const scenario = fc.record({
  batching: fc.constantFrom<false | { linesMax: number }>(false, { linesMax: 2 }, { linesMax: 7 }, { linesMax: 1_000 }),
  requestsMax: fc.integer({ min: 1, max: 4 }),
  faults: fc.array(fault, { maxLength: 14 }),
  logFaults: fc.array(fc.constantFrom<keyof typeof logFaults>('unavailable', 'unknownLanded', 'unknownLost', 'none'), {
    maxLength: 10,
  }),
  /** The operation each report is of; a pause (null) lets what was given so far be sent. */
  calls: fc.array(fc.option(fc.integer({ min: 0, max: 3 }), { freq: 6 }), { minLength: 1, maxLength: 40 }),
})

interface Call {
  readonly operation: string
  readonly key: string
  /** True when the caller knew already that an earlier report of the operation had failed. */
  readonly afterFailure: boolean
  readonly result: PromiseSettledResult<{ revision: number }>
}

async function run(
  {
    batching,
    requestsMax,
    faults,
    logFaults: planted,
    calls,
  }: typeof scenario extends fc.Arbitrary<infer T> ? T : never,
  attemptsMax: number,
): Promise<Call[]> {
  const client = service.client({
    baseUrl: between.url,
    batching,
    requestsMax,
    attemptsMax,
    attemptTimeoutMs: 400,
    timeoutMs: patienceMs,
  })
  between.script.splice(0, between.script.length, ...faults)
  const names = [...planted]
  between.beforeForward = () => {
    const name = names.shift()
    const one = name === undefined ? null : logFaults[name]
    if (one !== null) log.failNextAppend(one)
  }
  const prefix = randomUUID()
  const given: (Omit<Call, 'result'> & { promise: Promise<{ revision: number }> })[] = []
  const failed = new Set<string>()
  for (const [n, target] of calls.entries()) {
    if (target === null) {
      await between.answered()
      continue
    }
    const operation = `${prefix}-${target}`
    const key = `k${n}`
    const promise = client.report(operation, { service: 's', status: `ä${n}`, pipeline: 'any' }, { key })
    promise.catch(() => failed.add(operation))
    given.push({ operation, key, afterFailure: failed.has(operation), promise })
  }
  const results = await Promise.allSettled(given.map((call) => call.promise))
  await client.close()
  expect(client.pending).toBe(0)
  await between.deliverLate()
  return given.map(({ promise: _promise, ...call }, n) => ({ ...call, result: results[n] as Call['result'] }))
}

/** The keys of an operation's reports, in the order of the log, with their revisions. */
async function logged(operation: string): Promise<Map<string, number>> {
  const events = await service.api.log.readStream(`operation-${operation}`, { maxCount: 1_000 })
  const keys = new Map<string, number>()
  for (const event of events) {
    if (event.type !== 'StatusChanged') continue
    const { command } = JSON.parse(event.metadata) as { command: string }
    expect(keys.has(command), `${command} is in the log once`).toBe(false)
    keys.set(command, Number(event.revision))
  }
  return keys
}

function byOperation(calls: readonly Call[]): Map<string, Call[]> {
  const groups = new Map<string, Call[]>()
  for (const call of calls) groups.set(call.operation, [...(groups.get(call.operation) ?? []), call])
  return groups
}

/** On a busy machine fewer runs, not longer ones. */
const bounds = { numRuns: 60, interruptAfterTimeLimit: 10_000 }

/** However few runs there are: here a call is given up. */
const givesUp = {
  batching: false as const,
  requestsMax: 1,
  faults: [{ kind: 'cutBefore' as const }],
  logFaults: [],
  calls: [0],
}

describe('whatever the server and the network do', () => {
  test('every report that is given time lands exactly once, in the order of its operation', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const calls = await run(given, 100)
        for (const [operation, ofOne] of byOperation(calls)) {
          const keys = await logged(operation)
          expect([...keys.keys()]).toEqual(ofOne.map((call) => call.key))
          for (const { key, result } of ofOne) {
            expect(result).toMatchObject({ status: 'fulfilled', value: { revision: keys.get(key) } })
          }
        }
      }),
      bounds,
    )
  })

  test('when calls are given up: what was acknowledged is there once and in order, what may not have landed has not', async () => {
    let gaveUp = 0
    await fc.assert(
      fc.asyncProperty(scenario, fc.integer({ min: 1, max: 3 }), async (given, attemptsMax) => {
        const calls = await run(given, attemptsMax)
        for (const [operation, ofOne] of byOperation(calls)) {
          const keys = await logged(operation)
          const acknowledged = ofOne.filter((call) => call.result.status === 'fulfilled')
          const inLog = [...keys.keys()].filter((key) => acknowledged.some((call) => call.key === key))
          expect(inLog).toEqual(acknowledged.map((call) => call.key))
          // Those whose outcome is open too, unless the caller went on knowing of a failure.
          if (!ofOne.some((call) => call.afterFailure)) {
            const order = ofOne.map((call) => call.key).filter((key) => keys.has(key))
            expect([...keys.keys()]).toEqual(order)
          }
          for (const { key, result } of ofOne) {
            if (result.status === 'fulfilled') {
              expect(result.value.revision).toBe(keys.get(key))
              continue
            }
            gaveUp += 1
            expect(result.reason).toBeInstanceOf(WaybillError)
            const { mayHaveLanded, command } = result.reason as WaybillError
            expect(command).toBe(key)
            if (!mayHaveLanded) expect(keys.has(key)).toBe(false)
          }
        }
      }),
      { ...bounds, examples: [[givesUp, 1]] },
    )
    expect(gaveUp).toBeGreaterThan(0)
  })
})
