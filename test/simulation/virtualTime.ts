import type { Random } from '../../src/demo/random.ts'
import type { Scheduler, Task } from './scheduler.ts'

/** Of all wall clocks that are right. */
const startMs = Date.UTC(2026, 0, 1)
/** What `setImmediate` takes: a turn of the event loop. */
const turnMs = 0.005

/**
 * Puts the scheduler in the place of everything in Node that tells time, waits or is random, until the function returned is
 * called. Rooms that are given a clock are given it; this is for the rest, and for what somebody adds without thinking.
 */
export function takeOverTime(scheduler: Scheduler, random: Random): () => void {
  const restore: (() => void)[] = []
  const replace = (object: object, name: string, value: unknown): void => {
    const own = Object.getOwnPropertyDescriptor(object, name)
    Object.defineProperty(object, name, { value, configurable: true, writable: true })
    restore.push(() => {
      if (own === undefined) Reflect.deleteProperty(object, name)
      else Object.defineProperty(object, name, own)
    })
  }

  const clear = (timer: unknown): void => {
    if (timer instanceof Timer) timer.cancel()
  }
  replace(globalThis, 'setTimeout', (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) => {
    return new Timer(scheduler, Math.max(1, ms), false, () => run(...given))
  })
  replace(globalThis, 'setInterval', (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) => {
    return new Timer(scheduler, Math.max(1, ms), true, () => run(...given))
  })
  replace(globalThis, 'setImmediate', (run: (...given: unknown[]) => void, ...given: unknown[]) => {
    return new Timer(scheduler, turnMs, false, () => run(...given))
  })
  for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) replace(globalThis, name, clear)
  replace(Date, 'now', () => wallClockMs(scheduler))
  replace(performance, 'now', () => scheduler.nowMs)
  replace(Math, 'random', () => random.next())
  replace(globalThis.crypto, 'randomUUID', () => randomUuid(random))
  return () => {
    for (const put of restore.reverse()) put()
  }
}

/** Of the actor on whose behalf code runs now. */
export function wallClockMs(scheduler: Scheduler): number {
  return startMs + Math.floor(scheduler.nowMs + scheduler.current.clockOffsetMs)
}

export function randomUuid(random: Random): string {
  const hex = Array.from({ length: 4 }, () => random.integer(0, 0xffffffff).toString(16).padStart(8, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** As Node's, as far as anybody looks. */
class Timer {
  readonly #scheduler: Scheduler
  #task: Task | undefined

  constructor(scheduler: Scheduler, ms: number, again: boolean, run: () => void) {
    this.#scheduler = scheduler
    const begin = (): void => {
      this.#task = scheduler.after(ms, () => {
        if (again) begin()
        run()
      })
    }
    begin()
  }

  cancel(): void {
    this.#scheduler.cancel(this.#task)
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
