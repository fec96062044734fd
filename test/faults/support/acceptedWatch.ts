import { setTimeout as delay } from 'node:timers/promises'
import { type Call, isWrite } from '../history/call.ts'
import { monotonicUs, type Recorder } from '../history/recorder.ts'

interface Waiter {
  readonly sinceUs: number
  /** Null: any. */
  readonly node: string | null
  readonly resolve: (endUs: number) => void
}

/** Hands calls on, and tells when a write that was sent after a moment is the first to be accepted. */
export class AcceptedWatch implements Recorder {
  readonly #recorder: Recorder
  readonly #waiters = new Set<Waiter>()
  accepted = 0

  constructor(recorder: Recorder) {
    this.#recorder = recorder
  }

  record(call: Call): void {
    this.#recorder.record(call)
    if (!isWrite(call) || call.answer.kind !== 'accepted') return
    this.accepted += 1
    for (const waiter of this.#waiters) {
      if (call.startUs < waiter.sinceUs || (waiter.node !== null && waiter.node !== call.node)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(call.endUs)
    }
  }

  /** When the first accepted write that was sent after `sinceUs` was answered; null: none within the time. */
  async firstAfter(sinceUs: number, node: string | null, timeoutMs: number): Promise<number | null> {
    const giveUp = new AbortController()
    let waiter: Waiter | undefined
    const first = new Promise<number>((resolve) => {
      waiter = { sinceUs, node, resolve }
      this.#waiters.add(waiter)
    })
    const timeout = delay(timeoutMs, null, { signal: giveUp.signal }).catch(() => null)
    const endUs = await Promise.race([first, timeout])
    giveUp.abort()
    if (waiter !== undefined) this.#waiters.delete(waiter)
    return endUs
  }

  /** Until so many more writes were accepted, or the time is up. */
  async more(count: number, timeoutMs: number): Promise<void> {
    const deadlineUs = monotonicUs() + timeoutMs * 1_000
    const wanted = this.accepted + count
    while (this.accepted < wanted && monotonicUs() < deadlineUs) await delay(5)
  }
}
