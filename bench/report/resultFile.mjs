import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const directory = fileURLToPath(new URL('../results', import.meta.url))

export function machine() {
  return {
    processors: cpus().length,
    model: cpus()[0]?.model,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    platform: process.platform,
  }
}

/** @returns its path, as seen from here */
export async function writeResult(result) {
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${result.startedAt.replaceAll(':', '-')}.json`)
  await writeFile(file, JSON.stringify(result, null, 2))
  return relative(process.cwd(), file)
}
