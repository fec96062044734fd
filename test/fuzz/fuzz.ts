import fc, { type Arbitrary } from 'fast-check'
import { MalformedAnswerError } from './answers.ts'
import { type ApiDocument, type OpenApi, readDocument } from './apiDocument.ts'
import { exchange, Pipeline } from './connections.ts'
import type { FoundFault, FuzzOptions, FuzzReport } from './fuzzReport.ts'
import { type Finding, judge, operationOf } from './judge.ts'
import { isTooSlow, type Pace, slowTimesNeeded } from './pace.ts'
import { requestArbitrary } from './requestArbitrary.ts'
import { ServiceState } from './serviceState.ts'
import { bytesOf, type FuzzRequest, fill, needsOwnConnection, shellCommand } from './wire.ts'

interface Case {
  readonly number: number
  readonly request: FuzzRequest
  readonly bytes: string
  readonly method: string
}

/** Requests that are made at once. Part of what a seed means. */
const chunkRequests = 250
/** Operations begin anew after so many. */
const epochRequests = 2_500
const connections = 32
const pipelinedMax = 8
const aloneMax = 24

/** Sends a service what nobody should, and holds each answer against its document and its state. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const state = await ServiceState.prepare(options.port, options.operatorKey)
  const authorised = { headers: { authorization: `Bearer ${state.keys.operator}` } }
  const answer = await fetch(`http://127.0.0.1:${options.port}/openapi.json`, authorised)
  return new Fuzzer(options, readDocument((await answer.json()) as OpenApi), state).run()
}

class Fuzzer {
  readonly #options: FuzzOptions
  readonly #document: ApiDocument
  readonly #state: ServiceState
  readonly #arbitrary: Arbitrary<FuzzRequest>
  readonly #statuses: Record<string, number> = {}
  readonly #found = new Map<string, { readonly finding: Finding; readonly number: number }>()
  #number: number
  #chunk: readonly FuzzRequest[] = []
  #sent = 0
  #alone: Case[] = []
  readonly #pace: Pace
  readonly #silenceMs: number
  /** Answered late: the reason, or among those that had to wait for it. */
  #late: Case[] = []

  constructor(options: FuzzOptions, document: ApiDocument, state: ServiceState) {
    this.#options = options
    this.#document = document
    this.#state = state
    this.#arbitrary = requestArbitrary(document)
    this.#number = options.from ?? 0
    const { now = () => performance.now(), requestMsMax, waitMsMax } = options
    this.#silenceMs = options.silenceMs ?? 15_000
    this.#pace = { now, requestMsMax, waitMsMax }
  }

  async run(): Promise<FuzzReport> {
    const { seed, requests, seconds, faultsMax = 10, roundRequests = 10_000, progress } = this.#options
    const startedMs = performance.now()
    const endMs = seconds === null ? Number.POSITIVE_INFINITY : startedMs + seconds * 1_000
    const total = requests ?? Number.POSITIVE_INFINITY
    const faults: FoundFault[] = []
    const shrunk = new Set<string>()
    let fleeting = 0
    while (this.#sent < total && performance.now() < endMs && faults.length < faultsMax) {
      const first = this.#number
      await this.#round(Math.min(total - this.#sent, roundRequests), endMs)
      for (const detail of await this.#state.check())
        this.#note({ kind: stateKind(detail), operation: 'state', detail }, first)
      await this.#state.resume()
      for (const [signature, { finding, number }] of this.#found) {
        if (shrunk.has(signature) || faults.length >= faultsMax) continue
        shrunk.add(signature)
        progress?.(`request ${number}: ${finding.kind} of ${finding.operation}: ${finding.detail}`)
        const isState = finding.operation === 'state'
        const fault = await (isState ? this.#guilty(finding, first) : this.#shrink(finding, number))
        // A machine that cannot keep up may say so; what the request itself brings about would come again.
        if (finding.detail.startsWith('503 ') && fault.shrinks === 0 && fault.detail !== finding.detail) fleeting += 1
        else faults.push(fault)
      }
      const s = (performance.now() - startedMs) / 1_000
      progress?.(
        `${this.#sent} requests, ${Math.round(this.#sent / s)}/s, ${this.#state.events} events, ${faults.length} faults`,
      )
    }
    return {
      seed,
      requests: this.#sent,
      seconds: (performance.now() - startedMs) / 1_000,
      statuses: this.#statuses,
      operations: this.#document.operations.length,
      events: this.#state.events,
      fleeting,
      faults,
    }
  }

  /** Sends so many, and waits for all answers. */
  async #round(requests: number, endMs: number): Promise<void> {
    let left = requests
    const next = (): Case | null => {
      while (left > 0 && performance.now() < endMs) {
        left -= 1
        const made = this.#next()
        if (!needsOwnConnection(made.request)) return made
        this.#alone.push(made)
        startAlone()
      }
      left = 0
      return null
    }
    const alone = new Set<Promise<void>>()
    const startAlone = () => {
      while (alone.size < aloneMax) {
        const one = this.#alone.shift()
        if (one === undefined) return
        const work = this.#sendAlone(one).finally(() => {
          alone.delete(work)
          startAlone()
        })
        alone.add(work)
      }
    }
    const pipelines = Array.from({ length: connections }, () =>
      new Pipeline<Case>({
        port: this.#options.port,
        depth: pipelinedMax,
        silenceMs: this.#silenceMs,
        next,
        now: this.#pace.now,
        onAnswer: (one, answer, ms) => {
          if (isTooSlow(this.#pace, one.request, answer, ms)) this.#late.push(one)
          this.#count(String(answer.status))
          this.#state.learn(one.request, answer)
          for (const finding of judge(this.#document, one.request, answer)) this.#note(finding, one.number)
        },
        onUnanswered: (unanswered) => {
          // Each alone, to see which one it is; those behind it may have been taken.
          for (const one of unanswered) this.#state.lose(one.request)
          this.#alone.push(...unanswered)
          startAlone()
        },
      }).run(),
    )
    await Promise.all(pipelines)
    while (alone.size > 0) await Promise.race(alone)
    for (const one of this.#late.splice(0)) {
      const slow = await this.#slowFinding(one)
      if (slow !== null) this.#note(slow, one.number)
    }
  }

  #next(): Case {
    const number = this.#number
    const index = number % chunkRequests
    if (index === 0 || this.#chunk.length === 0) this.#chunk = this.#sample(Math.floor(number / chunkRequests))
    const request = this.#chunk[index]
    if (request === undefined) throw new Error('a chunk is shorter than it must be')
    this.#number += 1
    this.#sent += 1
    return this.#caseOf(number, request)
  }

  #sample(chunk: number): readonly FuzzRequest[] {
    return fc.sample(this.#arbitrary, { seed: this.#chunkSeed(chunk), numRuns: chunkRequests })
  }

  #chunkSeed(chunk: number): number {
    return Math.imul(this.#options.seed + 1, 0x9e3779b1) ^ Math.imul(chunk + 1, 0x85ebca6b)
  }

  #caseOf(number: number, request: FuzzRequest): Case {
    const filled = fill(request, this.#state.values(Math.floor(number / epochRequests)))
    return { number, request: filled, bytes: bytesOf(filled), method: filled.method }
  }

  async #sendAlone(one: Case): Promise<void> {
    for (const finding of await this.#exchanged(one)) this.#note(finding, one.number)
  }

  async #exchanged({ request, bytes, method, ...one }: Case): Promise<readonly Finding[]> {
    const isRaw = request.raw !== null || method === 'CONNECT'
    const sentMs = this.#pace.now()
    const { answers, malformed, closed } = await exchange(this.#options.port, bytes, method, {
      isRaw,
      silenceMs: this.#silenceMs,
    })
    const ms = this.#pace.now() - sentMs
    const operation = `${method} ${request.target.split('?', 1)[0]}`
    if (malformed !== null)
      return [{ kind: 'malformed_answer', operation: 'any', detail: `${operation}: ${malformed}` }]
    const [answer] = answers
    if (answer === undefined) {
      this.#count('none')
      this.#state.lose(request)
      if (isRaw && closed) return []
      return [
        {
          kind: 'no_answer',
          operation: 'any',
          detail: closed ? `${operation}: closed without an answer` : `${operation}: no answer`,
        },
      ]
    }
    this.#count(String(answer.status))
    for (const one of answers) this.#state.learn(request, one)
    if (!answer.complete) this.#state.lose(request)
    if (isTooSlow(this.#pace, request, answer, ms)) this.#late.push({ request, bytes, method, ...one })
    return judge(this.#document, request, answer)
  }

  /** Null: sent alone it is not too slow each time. */
  async #slowFinding(one: Case): Promise<Finding | null> {
    const { request, bytes, method } = one
    let leastMs = Number.POSITIVE_INFINITY
    for (let times = 0; times < slowTimesNeeded; times += 1) {
      const sentMs = this.#pace.now()
      const { answers } = await exchange(this.#options.port, bytes, method, {
        isRaw: false,
        silenceMs: this.#silenceMs,
      })
      const ms = this.#pace.now() - sentMs
      for (const answer of answers) this.#state.learn(request, answer)
      const [answer] = answers
      if (answer === undefined) this.#state.lose(request)
      if (answer === undefined || !isTooSlow(this.#pace, request, answer, ms)) return null
      leastMs = Math.min(leastMs, ms)
    }
    const detail = `${slowTimesNeeded} times it took ${Math.round(leastMs)} ms or more`
    return { kind: 'too_slow', operation: operationOf(this.#document, request), detail }
  }

  #count(status: string): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
  }

  #note(finding: Finding, number: number): void {
    const signature = `${finding.kind} ${finding.operation}`
    if (!this.#found.has(signature)) this.#found.set(signature, { finding, number })
  }

  async #shrink(finding: Finding, number: number): Promise<FoundFault> {
    return this.#shrunkBy(finding, number, async (one) => {
      if (finding.kind === 'too_slow') return (await this.#slowFinding(one))?.operation === finding.operation
      const again = await this.#exchanged(one)
      return again.some(({ kind, operation }) => kind === finding.kind && operation === finding.operation)
    })
  }

  /** Which of a round's requests did it: each again, with a look at the state after it. */
  async #guilty(finding: Finding, first: number): Promise<FoundFault> {
    const isGuilty = async (one: Case) => {
      await this.#exchanged(one)
      return (await this.#state.check()).some((detail) => stateKind(detail) === finding.kind)
    }
    for (let chunk = Math.floor(first / chunkRequests); chunk * chunkRequests < this.#number; chunk += 1) {
      const requests = this.#sample(chunk)
      for (const [index, request] of requests.entries()) {
        const number = chunk * chunkRequests + index
        if (number >= this.#number) break
        if (await isGuilty(this.#caseOf(number, request))) return this.#shrunkBy(finding, number, isGuilty)
      }
    }
    const nothing = { method: '', target: '', headers: [], body: null, raw: null }
    return { ...finding, request: first, shrunk: nothing, command: '(no single request does it again)', shrinks: 0 }
  }

  /** fast-check's own shrinking, from just that request on. */
  async #shrunkBy(finding: Finding, number: number, fails: (one: Case) => Promise<boolean>): Promise<FoundFault> {
    const { shrinkMsMax = 10_000, shrinkTriesMax = Number.POSITIVE_INFINITY } = this.#options
    let tries = 0
    const property = fc.asyncProperty(this.#arbitrary, async (request) => {
      tries += 1
      // Whatever is left is taken to be sound, unsent.
      if (tries > shrinkTriesMax) return true
      try {
        return !(await fails(this.#caseOf(number, request)))
      } catch (error) {
        if (error instanceof MalformedAnswerError) return true
        throw error
      }
    })
    const details = await fc.check(property, {
      seed: this.#chunkSeed(Math.floor(number / chunkRequests)),
      path: String(number % chunkRequests),
      numRuns: 1,
      interruptAfterTimeLimit: shrinkMsMax,
    })
    // What is slow may take all the time there is for its first try.
    const cameAgain = details.counterexample !== null || details.interrupted
    const original = this.#sample(Math.floor(number / chunkRequests))[number % chunkRequests]
    const [smallest] = details.counterexample ?? [original]
    if (smallest === undefined) throw new Error('there is no such request')
    const shrunk = this.#caseOf(number, smallest).request
    const command = shellCommand(shrunk, this.#options.port)
    return {
      ...finding,
      detail: cameAgain ? finding.detail : `${finding.detail} (it did not happen again)`,
      request: number,
      shrunk,
      command,
      shrinks: details.numShrinks,
    }
  }
}

function stateKind(detail: string): Finding['kind'] {
  return detail.startsWith('nobody was told') ? 'event_unasked' : 'state_changed'
}
