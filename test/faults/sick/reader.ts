import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../../src/demo/random.ts'
import { isWrite } from '../history/call.ts'
import { RecordingClient } from '../history/recordingClient.ts'
import type { ClientLoad } from '../support/clientLoad.ts'

/** What was written of late, by calls: a node has that in its memory. */
const recentMax = 100
const pauseMs = 20

/** A client that only reads, plainly, what the others have written: so that there are reads when all writers wait. */
export class SteadyReader {
  readonly #client: RecordingClient
  readonly #ending = new AbortController()
  readonly #running: Promise<void>

  constructor(url: string, load: ClientLoad, random: Random) {
    this.#client = new RecordingClient('reader', [url], load.watch)
    this.#running = this.#run(load, random)
    this.#running.catch(() => undefined)
  }

  /** Rejects when it met what no client should. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
    this.#client.close()
  }

  async #run(load: ClientLoad, random: Random): Promise<void> {
    const written: string[] = []
    let seen = 0
    while (!this.#ending.signal.aborted) {
      for (; seen < load.calls.length; seen += 1) {
        const call = load.calls[seen]
        if (call === undefined || !isWrite(call) || call.answer.kind !== 'accepted') continue
        const [, operation] = /^operation-(.*)$/.exec(call.stream) ?? []
        if (operation !== undefined) written.push(operation)
      }
      written.splice(0, written.length - recentMax)
      if (written.length > 0) await this.#client.read(random.pick(written as [string, ...string[]]))
      await delay(pauseMs)
    }
  }
}
