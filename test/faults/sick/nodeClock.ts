import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../nodes/support/until.ts'
import { network, type StoreFault } from './storeFaults.ts'

/** Debian's package. */
const library = 'faketime/libfaketime.so.1'
const hourS = 3_600

/** The wall clock of one node's process, which can be set; its monotonic one goes on. */
export class NodeClock {
  /** What the node's process needs. */
  readonly environment: Readonly<Record<string, string>>
  readonly #file: string

  /** Null where libfaketime is not installed. */
  static async make(folder: string): Promise<NodeClock | null> {
    const found = (await readdir('/usr/lib', { recursive: false }))
      .filter((name) => name.endsWith('-linux-gnu'))
      .map(async (name) => {
        const entries = await readdir(join('/usr/lib', name, 'faketime')).catch(() => [])
        return entries.length > 0 ? join('/usr/lib', name, library) : null
      })
    const path = (await Promise.all(found)).find((one) => one !== null)
    if (path === undefined || path === null) return null
    const clock = new NodeClock(path, join(folder, 'clock'))
    await clock.set(0)
    return clock
  }

  private constructor(path: string, file: string) {
    this.#file = file
    this.environment = {
      LD_PRELOAD: path,
      FAKETIME_TIMESTAMP_FILE: file,
      // Seconds until it looks at the file again.
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** Seconds ahead of the machine's. */
  async set(aheadS: number): Promise<void> {
    await writeFile(this.#file, `${aheadS < 0 ? '-' : '+'}${Math.abs(aheadS)}s\n`)
  }
}

/** There and back again: it jumps both ways. `cut`: while the node looks for its database, too. */
export function clockJump(hours: 1 | -1, ms: number, cut = false): StoreFault {
  const where = hours > 0 ? 'an hour ahead' : 'an hour behind'
  const resets = network.reset(ms)
  return {
    title: `the node's clock is ${where}, and back${cut ? ', with its connections reset' : ''}`,
    ms,
    writes: cut ? 'fail' : 'go on',
    async begin(rig) {
      const { clock, node } = rig
      if (clock === null) throw new Error('the rig has no clock')
      const accept = cut ? await resets.begin(rig) : null
      await clock.set(hours * hourS)
      await until('the node sees another time', 10_000, () => isOff(node.url, hours * hourS))
      return async () => {
        await clock.set(0)
        await until('the node sees our time', 10_000, () => isOff(node.url, 0))
        await accept?.()
      }
    },
  }
}

/** By what it says in its answers. */
async function isOff(url: string, aheadS: number): Promise<boolean> {
  const { headers } = await fetch(`${url}/livez`)
  const saidMs = Date.parse(headers.get('date') ?? '')
  return Math.abs(saidMs - Date.now() - aheadS * 1_000) < 60_000
}
