/** Something that runs by itself and may die: a node, a client, a server. */
export class Actor {
  readonly name: string
  isAlive = true
  /** What its wall clock is off by. */
  clockOffsetMs = 0
  /** Until then nothing of it runs, as in a long collection of garbage or after SIGSTOP. */
  frozenUntilUs = 0

  constructor(name: string) {
    this.name = name
  }
}

export interface Task {
  atUs: number
  readonly order: number
  readonly actor: Actor
  /** Null: it has run, or was cancelled. */
  run: (() => void) | null
}

/** Tasks that somebody may have to wait for: those that have not run yet, nor never will. */
export class Pending {
  #tasks: Task[] = []

  add(task: Task): void {
    this.#tasks.push(task)
  }

  get isEmpty(): boolean {
    this.#tasks = this.#tasks.filter(({ run, actor }) => run !== null && actor.isAlive)
    return this.#tasks.length === 0
  }
}

/** Tasks of one run; more mean that something goes round in circles. */
const tasksMax = 500_000

/**
 * The only source of time and order: a queue of tasks, each at its time and of its actor. One task runs at a time, and
 * with it every promise that it settles, and every one these settle; then comes the next. Nothing ever waits: the time
 * between two tasks passes at once. Who seeds what draws the times gets the same run again, task by task.
 */
export class Scheduler {
  /** On whose behalf code runs now: what it schedules is that actor's. */
  current = new Actor('world')
  #nowUs = 0
  #lastStampUs = 0
  #orders = 0
  #ran = 0
  #trace = 0x811c9dc5
  readonly #heap: Task[] = []

  get nowMs(): number {
    return this.#nowUs / 1_000
  }

  get tasksRun(): number {
    return this.#ran
  }

  /** Of every task that ran so far, in order: two runs of one hash were the same run. */
  get traceHash(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, '0')
  }

  /** Microseconds; no two are the same, later is greater. */
  stampUs(): number {
    this.#lastStampUs = Math.max(this.#lastStampUs + 1, this.#nowUs)
    return this.#lastStampUs
  }

  after(ms: number, run: () => void, actor = this.current): Task {
    const task = { atUs: this.#nowUs + Math.max(0, Math.round(ms * 1_000)), order: this.#orders, actor, run }
    this.#orders += 1
    this.#push(task)
    return task
  }

  cancel(task: Task | undefined): void {
    if (task !== undefined) task.run = null
  }

  /** Settles after so many milliseconds, unless its actor has died by then. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /**
   * Runs tasks until `isDone`; false when it is not after `forMs`. Rejects with what a task threw. Between two tasks all
   * that is ready to run has run: Node empties the queue of microtasks before it takes the next tick.
   */
  run(isDone: () => boolean, forMs: number): Promise<boolean> {
    const untilUs = this.#nowUs + forMs * 1_000
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const task = isDone() ? null : this.#next(untilUs)
          if (task === null) {
            resolve(isDone())
            return
          }
          this.#perform(task)
          queueMicrotask(() => process.nextTick(step))
        } catch (error) {
          reject(error)
        }
      }
      step()
    })
  }

  #next(untilUs: number): Task | null {
    for (;;) {
      const task = this.#pop()
      if (task === undefined) return null
      if (task.run === null || !task.actor.isAlive) continue
      if (task.actor.frozenUntilUs > task.atUs) {
        task.atUs = task.actor.frozenUntilUs
        this.#push(task)
      } else if (task.atUs > untilUs) {
        this.#push(task)
        return null
      } else return task
    }
  }

  #perform(task: Task): void {
    const { atUs, order, actor, run } = task
    task.run = null
    this.#nowUs = atUs
    this.#ran += 1
    if (this.#ran > tasksMax) throw new Error(`more than ${tasksMax} tasks: something goes round in circles`)
    this.#mix(atUs)
    this.#mix(order)
    this.current = actor
    run?.()
  }

  #mix(value: number): void {
    this.#trace = Math.imul(this.#trace ^ (value & 0xffff), 0x01000193)
    this.#trace = Math.imul(this.#trace ^ Math.floor(value / 0x10000), 0x01000193)
  }

  #push(task: Task): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(task)
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as Task
      if (isBefore(parent, task)) break
      heap[at] = parent
      at = up
    }
    heap[at] = task
  }

  #pop(): Task | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task)) child += 1
      const below = heap[child] as Task
      if (isBefore(last, below)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(one: Task, other: Task): boolean {
  return one.atUs === other.atUs ? one.order < other.order : one.atUs < other.atUs
}
