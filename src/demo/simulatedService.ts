import { setTimeout as delay } from 'node:timers/promises'
import { createHttpClient, HangUpError, type HttpClient } from './httpClient.ts'
import { isObject, type Json } from './json.ts'
import { type Answer, appended, isDefinite, type OperationRecord, type SentCommand } from './ledger.ts'
import type { Role } from './plan.ts'
import type { Random } from './random.ts'
import { countOutcome, type Tally } from './tally.ts'

/** One simulated service: a client of its own with its own connections, speed and way of failing. */
export interface SimulatedService {
  readonly role: Role
  /** Settles once the command and all its repeats have definite answers. */
  perform(record: OperationRecord, sent: SentCommand): Promise<void>
  close(): void
}

export interface ServiceOptions {
  readonly baseUrl: string
  readonly role: Role
  /** How many of its commands are under way at once. */
  readonly workers: number
  /** Mean milliseconds a worker needs for a document before it reports. */
  readonly thinkMs: number
  readonly random: Random
  readonly tally: Tally
}

/** A service that gets no definite answer for so long gives up, and the run with it. */
const attemptsMax = 60
const retryDelayMaxMs = 1_000

export function createSimulatedService(options: ServiceOptions): SimulatedService {
  const { role, random, tally } = options
  const client = createHttpClient(options.baseUrl, options.workers * 2)
  const places = createPlaces(options.workers)

  const sendUntilDefinite = async (record: OperationRecord, sent: SentCommand, hangUp: boolean): Promise<Answer> => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const hangUpAfterMs = hangUp && attempt === 0 ? random.integer(0, 4) : undefined
      const answer = await sendOnce(client, tally, record, sent, hangUpAfterMs)
      if (answer !== null) {
        sent.answers.push(answer)
        if (answer.revision !== null) record.acknowledged = Math.max(record.acknowledged, answer.revision)
        if (isDefinite(answer)) return answer
      }
      tally.retries += 1
      if (hangUpAfterMs === undefined) await delay(Math.min(retryDelayMaxMs, 20 * 2 ** attempt))
    }
    throw new Error(`${role}: no definite answer for ${sent.command.key} after ${attemptsMax} attempts`)
  }

  return {
    role,
    perform: async (record, sent) => {
      const { mishap } = sent.command
      await places.enter()
      try {
        await delay(random.exponential(options.thinkMs))
        if (mishap === 'twin') {
          const twins = [sendUntilDefinite(record, sent, false), sendUntilDefinite(record, sent, false)] as const
          const [answer] = await Promise.all(twins)
          tally.duplicatesAbsorbed += 1
          countOutcome(tally, answer)
        } else {
          countOutcome(tally, await sendUntilDefinite(record, sent, mishap === 'hang-up'))
        }
        tally.commands += 1
      } finally {
        places.leave()
      }
      if (mishap === 'repeat') {
        await delay(random.integer(50, 1_500))
        await sendUntilDefinite(record, sent, false)
        tally.duplicatesAbsorbed += 1
      }
      // A command that appended nothing is decided anew, whatever its body: only a recorded key can be misused.
      if (mishap === 'key-reuse' && sent.answers.some(appended)) {
        const answer = await sendOnce(client, tally, record, withAnotherBody(sent), undefined)
        if (answer !== null) sent.reuseAnswers.push(answer)
      }
    },
    close: () => client.close(),
  }
}

/** Null when there was no answer: the outcome is unknown. */
async function sendOnce(
  client: HttpClient,
  tally: Tally,
  record: OperationRecord,
  sent: SentCommand,
  hangUpAfterMs: number | undefined,
): Promise<Answer | null> {
  const { command } = sent
  const startedAt = performance.now()
  tally.requests += 1
  try {
    const answer = await client.call({
      method: 'POST',
      path: command.kind === 'open' ? '/v1/operations' : `/v1/operations/${record.plan.id}/reports`,
      headers: { 'idempotency-key': command.key },
      body: JSON.stringify(command.body),
      ...(hangUpAfterMs === undefined ? {} : { hangUpAfterMs }),
    })
    tally.writeLatency.add(performance.now() - startedAt)
    return readAnswer(answer.status, answer.text)
  } catch (error) {
    if (error instanceof HangUpError) tally.hangUps += 1
    return null
  }
}

function withAnotherBody(sent: SentCommand): SentCommand {
  const { command } = sent
  const body =
    command.kind === 'open' ? { ...command.body, theme: 'another' } : { ...command.body, metadata: { another: 'body' } }
  return { ...sent, command: { ...command, body } }
}

export function readAnswer(httpStatus: number, text: string): Answer {
  let body: Json = null
  try {
    body = JSON.parse(text)
  } catch {
    // An answer that is no JSON has neither outcome nor code: the proof counts it as a fault.
  }
  const answer = isObject(body) ? body : {}
  return {
    httpStatus,
    outcome: typeof answer.outcome === 'string' ? answer.outcome : null,
    reason: typeof answer.reason === 'string' ? answer.reason : null,
    revision: typeof answer.revision === 'number' ? answer.revision : null,
    position: typeof answer.position === 'string' ? answer.position : null,
    code: typeof answer.code === 'string' ? answer.code : null,
  }
}

/** First come, first served. */
function createPlaces(count: number): { enter(): Promise<void>; leave(): void } {
  let free = count
  const waiting: Array<() => void> = []
  return {
    enter: () => {
      if (free > 0) {
        free -= 1
        return Promise.resolve()
      }
      return new Promise((resolve) => waiting.push(resolve))
    },
    leave: () => {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    },
  }
}
