import { parseCommandLine } from '../../src/api/bulk/commandLine.ts'
import { createPositionTokens } from '../../src/api/positionToken.ts'
import { failureProblem, problemStatus, problemText, refusalProblem } from '../../src/api/problem.ts'
import { acceptedLine } from '../../src/api/receiptText.ts'
import { bulkCarrier } from '../../src/client/carriers.ts'
import type { Clock } from '../../src/client/clock.ts'
import { openLine, reportLine } from '../../src/client/commandLine.ts'
import { createCommandQueue } from '../../src/client/commandQueue.ts'
import type { Receipt } from '../../src/client/contract.ts'
import { WaybillError, WaybillProblem } from '../../src/client/errors.ts'
import { settingsOf } from '../../src/client/options.ts'
import { type OpenAnswer, type Transport, unanswered } from '../../src/client/transport.ts'
import type { CommandGroup } from '../../src/commands/commandService.ts'
import type { Random } from '../../src/demo/random.ts'
import { requestHash } from '../../src/operation/requestHash.ts'
import { operationStream } from '../../src/operation/streamName.ts'
import type { WriteAnswer } from '../faults/history/call.ts'
import { positionOfToken } from '../faults/history/recordedLog.ts'
import type { OutgoingCommand } from '../faults/history/recordingClient.ts'
import { exchange } from './network.ts'
import type { Actor, Scheduler } from './scheduler.ts'
import type { ClientParts } from './simulatedClient.ts'
import type { SimulatedNode } from './simulatedNode.ts'

/** As long as one line may be. */
const lineLimits = { bodyBytesMax: 768 * 1024, jsonDepthMax: 32 }
const sender = { caller: { name: 'anonymous' }, traceparent: undefined }

/**
 * A caller of the client library (src/client): its own queue, lanes, retries and carrier, over a simulated transport. What
 * is written down is what the library tells its caller, call by call: its word is what is held against the log.
 */
export class QueueClient {
  readonly #actor: Actor
  readonly #parts: ClientParts
  readonly #random: Random
  readonly #queue: ReturnType<typeof createCommandQueue>
  /** Keys whose receipt said 201: the library's receipts do not tell. */
  readonly #created = new Map<string, boolean>()
  /** Keys of which an attempt got no answer: it may arrive yet. */
  readonly #open = new Set<string>()
  #address: number

  constructor(actor: Actor, first: number, random: Random, parts: ClientParts) {
    this.#actor = actor
    this.#parts = parts
    this.#random = random
    this.#address = first
    const jitter = random.fork('jitter')
    const { timing, limits } = settingsOf({
      baseUrl: 'http://simulated',
      clock: clockOf(parts.network.scheduler, actor),
      random: () => jitter.next(),
      attemptTimeoutMs: 1_000,
      attemptsMax: random.pick([1, 4, 12]),
      timeoutMs: 20_000,
      batching: { linesMax: random.pick([1, 3, 500]) },
    })
    this.#queue = createCommandQueue(bulkCarrier(this.#transport(), timing.attemptTimeoutMs), limits, timing)
  }

  /** Settles when the library has said what became of it. */
  async submit(command: OutgoingCommand, timeoutMs?: number): Promise<WriteAnswer> {
    const { network, calls } = this.#parts
    const { operation, key, body, expectedRevision } = command
    const startUs = network.scheduler.stampUs()
    const expected = expectedRevision === undefined ? undefined : Number(expectedRevision)
    const { type, ...fields } = body
    const line =
      type === 'OpenOperation'
        ? openLine({ id: operation, ...fields } as Parameters<typeof openLine>[0], key, expected)
        : reportLine(operation, fields as Parameters<typeof reportLine>[1], key, expected)
    const answer = await this.#queue.submit(line, timeoutMs === undefined ? {} : { timeoutMs }).then(
      (receipt) => this.#accepted(receipt),
      (error: unknown) => this.#told(error, key),
    )
    calls.push({
      kind: 'line',
      stream: operationStream(operation),
      key,
      requestHash: requestHash(operation, expectedRevision, body),
      body,
      ...(expectedRevision === undefined ? {} : { expectedRevision: String(expectedRevision) }),
      client: this.#actor.name,
      node: null,
      startUs,
      endUs: network.scheduler.stampUs(),
      answer,
    })
    return answer
  }

  #told(error: unknown, key: string): WriteAnswer {
    const answer = told(error)
    // The library takes a refusal for the last word (docs/client.md, what it does not do), though an attempt before it may
    // arrive when what was refused is allowed.
    return answer.kind === 'refused' && this.#open.has(key) ? { kind: 'unknown', settled: false } : answer
  }

  #accepted({ command, outcome, reason, revision, position }: Receipt): WriteAnswer {
    return {
      kind: 'accepted',
      outcome,
      ...(reason === undefined ? {} : { reason }),
      created: this.#created.get(command) ?? false,
      revision: String(revision),
      position: String(positionOfToken(position)),
    }
  }

  #transport(): Transport {
    return {
      open: async ({ body = '' }) => {
        const { network, nodeAt, addresses } = this.#parts
        if (this.#random.chance(0.2)) this.#address += 1
        const lines = body.split('\n').filter((line) => line !== '')
        const said = await exchange(network, this.#actor, nodeAt(this.#address % addresses), (node) =>
          this.#carryOut(node, lines),
        )
        if (said.kind === 'answer') return { kind: 'answer', value: this.#answer(said.value) }
        if (said.kind === 'broken')
          for (const line of lines) this.#open.add((JSON.parse(line) as { command: string }).command)
        this.#address += 1
        const cause = Object.assign(new Error(said.kind), {
          code: said.kind === 'refused' ? 'ECONNREFUSED' : 'ECONNRESET',
        })
        return unanswered(said.kind, cause)
      },
      close: () => undefined,
    }
  }

  /** What a node answers to a bulk request, line by line (src/api/bulk). */
  #carryOut({ commands, logId }: SimulatedNode, lines: readonly string[]): Promise<readonly string[]> {
    const group: CommandGroup = { failed: new Map() }
    const tokens = createPositionTokens(logId)
    return Promise.all(
      lines.map(async (text, index) => {
        const parsed = parseCommandLine({ number: index + 1, text }, lineLimits, sender)
        if (!parsed.ok) return problemLine(parsed.problem)
        const result = await commands.submit(parsed.command, group)
        const { operation, key } = result
        if (result.kind === 'refused') return problemLine(refusalProblem(result.refusal, operation, key))
        if (result.kind === 'failed') return problemLine(failureProblem(result.failure, operation, key))
        this.#created.set(key, result.opened)
        return acceptedLine(result, tokens)
      }),
    )
  }

  /** May break off anywhere, in the midst of a line too. */
  #answer(lines: readonly string[]): OpenAnswer {
    const { faults } = this.#parts.network
    const text = lines.join('')
    const breaks = this.#random.chance(faults.answerLost)
    const kept = breaks ? text.slice(0, this.#random.integer(0, text.length)) : text
    const middle = this.#random.integer(0, kept.length)
    const chunks = [kept.slice(0, middle), kept.slice(middle)].map((chunk) => Buffer.from(chunk))
    return {
      status: 200,
      header: () => null,
      next: async () => {
        const chunk = chunks.shift()
        if (chunk !== undefined) return { kind: 'answer', value: chunk }
        return breaks ? unanswered('the connection broke') : { kind: 'answer', value: null }
      },
      close: () => undefined,
    }
  }
}

function problemLine(problem: Parameters<typeof problemText>[0]): string {
  const { operation, command } = problem
  return `${JSON.stringify({
    ...(operation === undefined ? {} : { operation }),
    ...(command === undefined ? {} : { command }),
    httpStatus: problemStatus(problem),
    problem: JSON.parse(problemText(problem, '/v1/commands')) as object,
  })}\n`
}

function told(error: unknown): WriteAnswer {
  if (!(error instanceof WaybillError)) return { kind: 'unexpected', status: 0, text: String(error) }
  if (error.mayHaveLanded) return { kind: 'unknown', settled: false }
  const isRefused =
    error instanceof WaybillProblem && error.status < 500 && error.status !== 424 && error.status !== 429
  if (!isRefused) return { kind: 'notTaken', code: error.code }
  const { code, revision } = error
  return { kind: 'refused', code, ...(revision === undefined ? {} : { revision: String(revision) }) }
}

function clockOf(scheduler: Scheduler, actor: Actor): Clock {
  return {
    now: () => scheduler.nowMs,
    after(ms, callback) {
      const task = scheduler.after(ms, callback, actor)
      return () => scheduler.cancel(task)
    },
    soon: (callback) => void scheduler.after(0.005, callback, actor),
  }
}
