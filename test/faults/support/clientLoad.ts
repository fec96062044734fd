import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../../src/demo/random.ts'
import type { Call } from '../history/call.ts'
import { MemoryRecorder } from '../history/recorder.ts'
import { RecordingClient } from '../history/recordingClient.ts'
import { defineKinds, newWorld, runClient } from '../workload.ts'
import { AcceptedWatch } from './acceptedWatch.ts'

export interface LoadOptions {
  readonly urls: readonly string[]
  readonly random: Random
  /** Default 12. */
  readonly clients?: number
  /** Mean of each client's pauses; default 8, which leaves a small machine time for everything else. */
  readonly pauseMs?: number
}

/** What is under way when the load ends has so long to come to its end. */
const endingMsMax = 20_000

/** Clients at work, each of whose calls is written down. */
export class ClientLoad {
  readonly watch: AcceptedWatch
  readonly #recorder: MemoryRecorder
  readonly #clients: readonly RecordingClient[]
  readonly #ending = new AbortController()
  readonly #givingUp = new AbortController()
  /** Rejects when a client meets what no client should. */
  readonly #running: Promise<unknown>

  /** Defines the pipelines, and has the clients begin. */
  static async start(options: LoadOptions): Promise<ClientLoad> {
    const { urls, clients: count = 12 } = options
    const recorder = new MemoryRecorder()
    const watch = new AcceptedWatch(recorder)
    const clients = Array.from({ length: count }, (_, n) => new RecordingClient(`c${n}`, urls, watch, n))
    const [first] = clients
    if (first !== undefined) await defineKinds(first)
    return new ClientLoad(options, recorder, watch, clients)
  }

  private constructor(
    { random, pauseMs = 8 }: LoadOptions,
    recorder: MemoryRecorder,
    watch: AcceptedWatch,
    clients: readonly RecordingClient[],
  ) {
    this.#recorder = recorder
    this.watch = watch
    this.#clients = clients
    const world = newWorld()
    const signals = { signal: this.#ending.signal, giveUp: this.#givingUp.signal }
    this.#running = Promise.all(
      clients.map((client, n) =>
        runClient({ ...signals, name: `c${n}`, client, world, random: random.fork(`c${n}`), pauseMs }),
      ),
    )
    // Whoever waits for the end, or for what happens meanwhile, is told.
    this.#running.catch(() => undefined)
  }

  get calls(): readonly Call[] {
    return this.#recorder.calls
  }

  /** Settles as `work` does; rejects when a client fails before. */
  while<T>(work: Promise<T>): Promise<T> {
    const ended = this.#running.then((): never => {
      throw new Error('the clients have ended')
    })
    return Promise.race([work, ended])
  }

  /** At once: what is open stays open. */
  abandon(): Promise<void> {
    this.#givingUp.abort()
    return this.finish()
  }

  /** Nothing new is begun; what is under way is sent again until it is answered, or given up in time. */
  async finish(): Promise<void> {
    this.#ending.abort()
    const over = new AbortController()
    const late = delay(endingMsMax, null, { signal: over.signal }).then(
      () => this.#givingUp.abort(),
      () => undefined,
    )
    try {
      await this.#running
    } finally {
      over.abort()
      await late
      for (const client of this.#clients) client.close()
    }
  }
}
