import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CommandResult, LoadedOperation } from '../../src/commands/commandService.ts'
import type { EventLog, RecordedEvent } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { plainState } from '../operation/support/plainState.ts'
import { unknownLanded, unknownLost, wholeLog } from './faultyEventLog.ts'
import { codeOf, createNode, definePipeline, holding, linear, type Node, open, report } from './node.ts'

const statuses = ['new', 'read', 'checked', 'done']
const pipelines = { strict: linear, patient: holding }

interface Step {
  readonly kind: 'report' | 'conditional' | 'open' | 'read'
  readonly node: number
  readonly operation: number
  readonly key: number
  readonly status: string
  /** How many turns of the event loop later than the step before. */
  readonly turns: number
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constant('report' as const) },
    { weight: 1, arbitrary: fc.constantFrom('conditional' as const, 'open' as const, 'read' as const) },
  ),
  node: fc.nat({ max: 1 }),
  operation: fc.nat({ max: 2 }),
  key: fc.nat({ max: 30 }),
  status: fc.constantFrom(...statuses),
  turns: fc.nat({ max: 2 }),
})

/** Each append waits for as many turns as the schedule says, and may lose its answer or itself. */
const delay = fc.record({
  turns: fc.nat({ max: 4 }),
  fault: fc.oneof(
    { weight: 12, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant(unknownLanded) },
    { weight: 1, arbitrary: fc.constant(unknownLost) },
  ),
})

/** Small bounds bring about what takes thousands of commands otherwise. */
const limits = fc.record({
  receiptsMax: fc.constantFrom(1, 3, 1_000),
  batchCommandsMax: fc.constantFrom(1, 3, 1_000),
  cachedOperationsMax: fc.constantFrom(1, 2, 1_000),
  conflictsMax: fc.constantFrom(2, 20),
})

type ArbitraryOf<A> = A extends fc.Arbitrary<infer T> ? T : never

async function turn(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve))
}

function commandOf({ kind, operation, key, status }: Step) {
  const pipeline = operation === 1 ? 'patient' : operation === 2 ? 'any' : 'strict'
  if (kind === 'open') return open(`op-${operation}`, `key-${key}`, { pipeline })
  if (kind === 'conditional')
    return report(`op-${operation}`, `key-${key}`, status, {}, { expectedRevision: BigInt(key % 5) })
  // A key always comes with the same request, as a client's retry does.
  const said = pipeline === 'any' ? status : (statuses[key % 4] ?? status)
  return report(`op-${operation}`, `key-${key}`, said, { pipeline, data: { [`by${key}`]: key } })
}

async function race(
  log: EventLog,
  steps: readonly Step[],
  delays: readonly ArbitraryOf<typeof delay>[],
  bounds: ArbitraryOf<typeof limits>,
) {
  const nodes = [createNode(log, bounds), createNode(log, bounds)]
  const [first] = nodes
  if (first === undefined) throw new Error('no node')
  for (const [name, definition] of Object.entries(pipelines)) await definePipeline(first, name, definition)
  let next = 0
  for (const node of nodes) {
    node.log.beforeAppend = async () => {
      const planned = delays[next % Math.max(1, delays.length)]
      next += 1
      if (planned === undefined) return
      await turn(planned.turns)
      if (planned.fault !== null) node.log.failNextAppend(planned.fault)
    }
  }
  const reads: Promise<void>[] = []
  const answers: { step: Step; result: Promise<CommandResult> }[] = []
  for (const planned of steps) {
    await turn(planned.turns)
    const node = nodes[planned.node]
    if (node === undefined) continue
    if (planned.kind === 'read') reads.push(readsAll(log, node, `op-${planned.operation}`))
    else answers.push({ step: planned, result: node.commands.submit(commandOf(planned)) })
  }
  const results: { step: Step; result: CommandResult }[] = []
  for (const { step: planned, result } of answers) results.push({ step: planned, result: await result })
  await Promise.all(reads)
  for (const node of nodes) node.log.beforeAppend = async () => undefined
  return { nodes, results }
}

/** A load shows all that the log had when it began. */
async function readsAll(log: EventLog, node: Node, operation: string): Promise<void> {
  const [last] = await log.readStream(`operation-${operation}`, { direction: 'backwards', maxCount: 1 })
  const loaded = await node.commands.load(operation)
  expect(loaded?.state.revision ?? -1n).toBeGreaterThanOrEqual(last?.revision ?? -1n)
}

async function checkHistory(
  log: EventLog,
  nodes: readonly Node[],
  results: readonly { step: Step; result: CommandResult }[],
) {
  const events = await wholeLog(log)
  const byOperation = new Map<string, RecordedEvent[]>()
  for (const event of events) byOperation.set(event.stream, [...(byOperation.get(event.stream) ?? []), event])
  for (const stream of byOperation.values()) expect(verifyStream(stream).kind).toBe('intact')
  const recorded = events.map((event) => ({ ...event, ...keysOf(event) }))
  for (const { step: planned, result } of results) {
    const key = `key-${planned.key}`
    const caused = recorded.filter(
      (event) => event.stream === `operation-op-${planned.operation}` && event.cause === key,
    )
    const own = caused.filter((event) => event.key === key)
    const reports = own.filter((event) => event.type !== 'OperationOpened')
    // However often, wherever and whenever a key was sent: its report is in the log once at most.
    expect(reports.length).toBeLessThanOrEqual(1)
    if (result.kind === 'accepted' && !(result.outcome === 'ignored' && result.reason === 'duplicate')) {
      expect(own.length).toBeGreaterThan(0)
      // Its revision is that of the last event of the append it began.
      const last = caused.at(-1)
      expect({ revision: result.revision, position: result.position }).toEqual({
        revision: last?.revision,
        position: last?.position,
      })
    }
    // A refused command may be taken when it is sent again; one that was only ever refused left nothing.
    const sent = results.filter((other) => other.step.operation === planned.operation && other.step.key === planned.key)
    if (sent.every((other) => other.result.kind === 'refused')) expect(own).toEqual([])
    if (result.kind === 'failed') expect(['outcome_unknown', 'contention']).toContain(codeOf(result))
  }
  // What each node remembers is what the log says, once it has looked.
  for (const node of nodes) {
    for (const stream of byOperation.keys()) {
      if (!stream.startsWith('operation-')) continue
      const operation = stream.slice('operation-'.length)
      const remembered = node.commands.cached(operation)
      const folded = await createNode(log).commands.load(operation)
      if (remembered !== null && remembered.state.revision === folded?.state.revision)
        expect(plain(remembered)).toEqual(plain(folded))
      expect(plain(await node.commands.load(operation))).toEqual(plain(folded))
    }
    expect(node.log.seen.sharedStream).toBe(false)
    expect(node.commands.metrics.inFlight()).toBe(0)
  }
  await retriesAgree(nodes, results)
}

function keysOf({ metadata }: RecordedEvent): { readonly key: unknown; readonly cause: unknown } {
  const { command, $causationId } = JSON.parse(metadata)
  return { key: command, cause: $causationId }
}

/** Every command once more, on either node: what was accepted with events gets that very receipt. */
async function retriesAgree(nodes: readonly Node[], results: readonly { step: Step; result: CommandResult }[]) {
  for (const { step: planned, result } of results) {
    if (result.kind !== 'accepted' || result.reason === 'duplicate') continue
    for (const node of nodes) expect(await node.commands.submit(commandOf(planned))).toEqual(result)
  }
}

test('two nodes race on the same operations: what was answered is what the log holds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.array(delay, { minLength: 1, maxLength: 20 }),
      limits,
      async (steps, delays, bounds) => {
        const log = createMemoryEventLog()
        const { nodes, results } = await race(log, steps, delays, bounds)
        await checkHistory(log, nodes, results)
      },
    ),
    { numRuns: 100 },
  )
})

function plain(loaded: LoadedOperation | null) {
  return loaded && { ...loaded, state: plainState(loaded.state) }
}
