import { spawnSync } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Why nothing can be mounted here, as in a container that may not; null: it can. `loop`: a loop device is needed too. */
export async function mountsRefused(folder: string, loop: boolean): Promise<string | null> {
  await unmountRemains()
  const probe = join(folder, 'probe')
  try {
    await mountTmpfs(probe, 1_048_576)
    await unmount(probe)
  } catch {
    return 'mounts are refused here'
  }
  if (!loop) return null
  return run('losetup', ['--find']).then(
    () => null,
    () => 'there is no loop device here',
  )
}

/** What runs have left mounted that were killed by -9: with a mount in it, their folder cannot be removed. */
async function unmountRemains(): Promise<void> {
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  for (const mountPoint of mounts.reverse()) {
    const [, pid] = /\/waybill-faults-(\d+)-/.exec(mountPoint) ?? []
    if (pid === undefined || !mountPoint.startsWith(tmpdir()) || isRunning(Number(pid))) continue
    await run('umount', ['--lazy', mountPoint]).catch(() => '')
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
