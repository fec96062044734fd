import { readFileSync } from 'node:fs'

const sampleMs = 100

/** A process's resident memory, looked at ten times a second. MiB. */
export class MemoryWatch {
  readonly #pid: number
  readonly #samples: number[] = []
  readonly #clock: NodeJS.Timeout

  constructor(pid: number) {
    this.#pid = pid
    this.#clock = setInterval(() => this.#look(), sampleMs)
    this.#look()
  }

  #look(): void {
    const mib = residentMib(this.#pid)
    if (mib !== null) this.#samples.push(mib)
  }

  stop(): { readonly firstMib: number; readonly mostMib: number; readonly growth: number } {
    clearInterval(this.#clock)
    this.#look()
    const half = Math.floor(this.#samples.length / 2)
    const most = (samples: readonly number[]) => samples.reduce((max, mib) => Math.max(max, mib), 0)
    const [early, late] = [most(this.#samples.slice(0, half)), most(this.#samples.slice(half))]
    return { firstMib: this.#samples[0] ?? 0, mostMib: most(this.#samples), growth: early === 0 ? 1 : late / early }
  }
}

/** Null: it is gone. */
export function residentMib(pid: number): number | null {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
    return kib === undefined ? null : Math.round(Number(kib) / 1_024)
  } catch {
    return null
  }
}
