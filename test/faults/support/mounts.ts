import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { run } from './run.ts'

/** Mount points, the innermost last. */
const mounted: string[] = []

// Whatever happens: nothing stays mounted when this process exits. Lazily, as what works there ends at the same time.
process.prependListener('exit', () => {
  for (const mountPoint of mounted.reverse()) spawnSync('umount', ['--lazy', mountPoint])
})

/** An ext4 image, by way of a loop device of its own. */
export async function mountImage(image: string, mountPoint: string): Promise<void> {
  await mkdir(mountPoint, { recursive: true })
  await run('mount', ['-t', 'ext4', '-o', 'loop,noatime', image, mountPoint])
  mounted.push(mountPoint)
}

export async function mountTmpfs(mountPoint: string, bytes: number): Promise<void> {
  await mkdir(mountPoint, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=711`, 'tmpfs', mountPoint])
  mounted.push(mountPoint)
}

const unmountMsMax = 10_000

/** Nothing may work there any more; what has just ended may hold on to it for a moment. */
export async function unmount(mountPoint: string): Promise<void> {
  const deadline = performance.now() + unmountMsMax
  for (;;) {
    try {
      await run('umount', [mountPoint])
      mounted.splice(mounted.indexOf(mountPoint), 1)
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(50)
    }
  }
}
