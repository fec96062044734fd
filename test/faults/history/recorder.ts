import { createReadStream, createWriteStream, type WriteStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import type { Call } from './call.ts'

/** Microseconds of the machine's monotonic clock: of CLOCK_MONOTONIC, which all processes of a machine share. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

/** Where clients write down their calls, each when it has ended. */
export interface Recorder {
  record(call: Call): void
}

/** Keeps the calls in memory. */
export class MemoryRecorder implements Recorder {
  readonly calls: Call[] = []

  record(call: Call): void {
    this.calls.push(call)
  }
}

const suffix = '.history.ndjson'

/** One file for each process, in a folder they may share. */
export class FileRecorder implements Recorder {
  readonly #file: WriteStream

  constructor(folder: string, name: string) {
    this.#file = createWriteStream(join(folder, `${name}${suffix}`), { flags: 'ax' })
  }

  record(call: Call): void {
    this.#file.write(`${JSON.stringify(call)}\n`)
  }

  async close(): Promise<void> {
    this.#file.end()
    await finished(this.#file)
  }
}

/** All calls of all processes that recorded in a folder, in no order. A last line that was cut off is an error. */
export async function readHistory(folder: string): Promise<readonly Call[]> {
  const calls: Call[] = []
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(suffix)).sort()) {
    const lines = createInterface({ input: createReadStream(join(folder, name)), crlfDelay: Number.POSITIVE_INFINITY })
    for await (const line of lines) if (line !== '') calls.push(JSON.parse(line) as Call)
  }
  return calls
}
