import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, appended, type OperationRecord, type SentCommand } from './ledger.ts'
import type { PlannedCommand, Role } from './plan.ts'
import type { Random } from './random.ts'
import { createSender } from './sender.ts'
import type { ServiceAddress } from './serviceAddress.ts'
import { countOutcome, type Tally } from './tally.ts'

/** One simulated service: a client of its own with its own connections, speed and way of failing. */
export interface SimulatedService {
  readonly role: Role
  /** Settles once the command and all its repeats have definite answers. */
  perform(record: OperationRecord, sent: SentCommand): Promise<void>
  close(): void
}

export interface ServiceOptions {
  readonly waybill: ServiceAddress
  readonly role: Role
  /** How many of its commands are under way at once. */
  readonly workers: number
  /** Mean milliseconds a worker needs for a document before it reports. */
  readonly thinkMs: number
  readonly random: Random
  readonly tally: Tally
}

export function createSimulatedService(options: ServiceOptions): SimulatedService {
  const { role, random, tally } = options
  const sender = createSender(options.waybill, tally)
  const places = createPlaces(options.workers)

  const send = async (record: OperationRecord, sent: SentCommand): Promise<Answer> => {
    const answer = await sender.send(record.plan.id, sent.command)
    keep(record, sent, answer)
    return answer
  }
  const sendByHand = async (record: OperationRecord, sent: SentCommand, hangUpAfterMs?: number): Promise<void> => {
    const answer = await sender.sendByHand(record.plan.id, sent.command, hangUpAfterMs)
    if (answer !== null) keep(record, sent, answer)
  }

  return {
    role,
    perform: async (record, sent) => {
      const { mishap } = sent.command
      await places.enter()
      try {
        await delay(random.exponential(options.thinkMs))
        // Two requests at once: the client would send both in one.
        const twin = mishap === 'twin' ? sendByHand(record, sent) : null
        if (mishap === 'hang-up') await sendByHand(record, sent, random.integer(0, 4))
        const [answer] = await Promise.all([send(record, sent), twin])
        if (twin !== null) tally.duplicatesAbsorbed += 1
        countOutcome(tally, answer)
        tally.commands += 1
      } finally {
        places.leave()
      }
      if (mishap === 'repeat') {
        await delay(random.integer(50, 1_500))
        await send(record, sent)
        tally.duplicatesAbsorbed += 1
      }
      // A command that appended nothing is decided anew, whatever its body: only a recorded key can be misused.
      if (mishap === 'key-reuse' && sent.answers.some(appended)) {
        const answer = await sender.sendByHand(record.plan.id, withAnotherBody(sent.command))
        if (answer !== null) sent.reuseAnswers.push(answer)
      }
    },
    close: () => sender.close(),
  }
}

function keep(record: OperationRecord, sent: SentCommand, answer: Answer): void {
  sent.answers.push(answer)
  if (answer.revision !== null) record.acknowledged = Math.max(record.acknowledged, answer.revision)
}

function withAnotherBody(command: PlannedCommand): PlannedCommand {
  return command.kind === 'open'
    ? { ...command, body: { ...command.body, theme: 'another' } }
    : { ...command, body: { ...command.body, metadata: { another: 'body' } } }
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
