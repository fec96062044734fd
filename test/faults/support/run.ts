import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a program of the system to its end, and gives what it said. Rejects, with its words, when it fails. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, args, { encoding: 'utf8' })
  return stdout.trim()
}

/** Why these programs, as root, cannot be used here; null: they can. */
export async function missing(programs: readonly string[]): Promise<string | null> {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'it needs root, for mounts'
  const absent: string[] = []
  for (const program of programs) {
    await execute('sh', ['-c', 'command -v "$0"', program]).catch(() => absent.push(program))
  }
  return absent.length === 0 ? null : `the system lacks ${absent.join(', ')}`
}
