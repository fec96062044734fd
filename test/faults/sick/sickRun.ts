import { setTimeout as delay } from 'node:timers/promises'
import { type Call, isWrite } from '../history/call.ts'
import { monotonicUs } from '../history/recorder.ts'
import type { ClientLoad } from '../support/clientLoad.ts'
import type { SickRig } from './sickRig.ts'
import type { StoreFault } from './storeFaults.ts'

/** What callers met while the store was sick, and until it was back. */
export interface SickFigures {
  readonly title: string
  readonly ms: number
  readonly writes: Answers
  readonly reads: Answers
  /** From the end of the fault to the first write accepted that was sent after it; null: not in time. */
  readonly backMs: number | null
}

export interface Answers {
  /** Of the calls that ended while it lasted or until it was over, or began then. */
  readonly answered: number
  /** 503 or 429, nothing written; reads: 503. */
  readonly notTaken: number
  /** 503: the outcome is not known. */
  readonly unknown: number
  /** No answer at all. */
  readonly unanswered: number
  readonly longestMs: number
}

const patienceMs = 60_000

/** One fault under load. `faults`: told, in sentences, what ought not to be. */
export async function sickOnce(rig: SickRig, fault: StoreFault, faults: string[]): Promise<SickFigures> {
  const { load } = rig
  await load.while(load.watch.more(100, 5_000))
  const makeWell = await fault.begin(rig)
  const beganUs = monotonicUs()
  await load.while(delay(fault.ms))
  await makeWell()
  const figures = await figuresFrom(load, fault.title, beganUs)
  faults.push(...judgeFigures(figures, fault.writes))
  return figures
}

/** Ends with the first write that is accepted again. */
export async function figuresFrom(load: ClientLoad, title: string, beganUs: number): Promise<SickFigures> {
  const endedUs = monotonicUs()
  const backUs = await load.while(load.watch.firstAfter(endedUs, null, patienceMs))
  // Calls that began while it lasted, and wait still, are part of it.
  await load.while(untilAnswered(load, endedUs))
  const during = load.calls.filter((call) => call.endUs >= beganUs && call.startUs <= endedUs)
  return {
    title,
    ms: Math.round((endedUs - beganUs) / 1_000),
    writes: answers(during.filter(isWrite)),
    reads: answers(during.filter((call) => !isWrite(call))),
    backMs: backUs === null ? null : Math.round((backUs - endedUs) / 1_000),
  }
}

/** Until every client has had an answer to something it asked after that moment: each makes one call after the other. */
async function untilAnswered(load: ClientLoad, sinceUs: number): Promise<void> {
  const deadline = performance.now() + patienceMs
  const waiting = new Set(load.calls.map(({ client }) => client))
  let seen = 0
  while (waiting.size > 0 && performance.now() < deadline) {
    for (; seen < load.calls.length; seen += 1) {
      const call = load.calls[seen]
      if (call !== undefined && call.startUs > sinceUs) waiting.delete(call.client)
    }
    await delay(20)
  }
}

function answers(calls: readonly Call[]): Answers {
  const kinds = (kind: string) => calls.filter(({ answer }) => answer.kind === kind).length
  const unknown = calls.filter(({ answer }) => answer.kind === 'unknown' && answer.settled).length
  const cut = calls.filter(({ answer }) => answer.kind === 'notTaken' && answer.code === 'broken connection').length
  return {
    answered: calls.length - kinds('notTaken') - kinds('unknown') - kinds('unexpected'),
    notTaken: kinds('notTaken') - cut,
    unknown,
    unanswered: kinds('unknown') - unknown + cut,
    longestMs: Math.round(Math.max(0, ...calls.map(({ startUs, endUs }) => (endUs - startUs) / 1_000))),
  }
}

export function judgeFigures({ title, writes, reads, backMs }: SickFigures, expected: StoreFault['writes']): string[] {
  const faults: string[] = []
  const unanswered = writes.unanswered + reads.unanswered
  if (backMs === null) faults.push(`${title}: no write was accepted within ${patienceMs} ms after it was over`)
  if (unanswered > 0) faults.push(`${title}: ${unanswered} calls were not answered, though the node ran`)
  if (reads.answered === 0) faults.push(`${title}: no read was answered`)
  if (expected === 'go on' && writes.notTaken + writes.unknown > 0) {
    faults.push(`${title}: ${writes.notTaken + writes.unknown} writes failed, where all could go on`)
  }
  if (expected === 'fail' && writes.notTaken + writes.unknown === 0) {
    faults.push(`${title}: no write failed: the fault was not felt, so this proves nothing`)
  }
  return faults
}
