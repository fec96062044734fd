import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rename, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
// For the types of what it provides.
import '../../support/postgresServer.ts'
import { patienceMs } from '../../support/patience.ts'

/** A copy of the service as `npm run build` makes it, apart from `dist`, which others may be using. */
export interface BuiltService {
  /** `package.json`, `node_modules` and `dist`. */
  readonly directory: string
  /** What `node` is given. */
  readonly program: string
}

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Built from the sources as they are now. */
export function builtService(): Promise<BuiltService> {
  return onceARun('built', (directory) => build(directory))
}

/** Whoever comes first makes it, the others wait. `make` is told where it works and where that will be. */
export async function onceARun(
  name: string,
  make: (directory: string, finalDirectory: string) => Promise<void>,
): Promise<BuiltService> {
  const directory = join(inject('scratchDirectory'), name)
  const service = { directory, program: join(directory, 'dist', 'main.js') }
  try {
    // Only one can make it, and it stays.
    await mkdir(`${directory}.claimed`)
  } catch {
    await untilThere(directory)
    return service
  }
  await make(`${directory}.building`, directory)
  await rename(`${directory}.building`, directory)
  return service
}

/** A copy in which a test may change files. */
export async function copyOfBuild({ directory }: BuiltService, name: string): Promise<BuiltService> {
  const copy = join(inject('scratchDirectory'), name)
  await cp(join(directory, 'dist'), join(copy, 'dist'), { recursive: true })
  await addSurroundings(copy)
  return { directory: copy, program: join(copy, 'dist', 'main.js') }
}

async function build(directory: string): Promise<void> {
  const dist = join(directory, 'dist')
  const project = ['-p', join(root, 'tsconfig.build.json'), '--outDir', dist]
  const plain = [
    '--incremental',
    'false',
    '--tsBuildInfoFile',
    'null',
    '--declaration',
    'false',
    '--sourceMap',
    'false',
  ]
  // Types are `npm run check`'s affair.
  const args = project.concat(plain, '--noCheck')
  await run(join(root, 'node_modules', 'typescript', 'bin', 'tsc'), args)
  await addAssets(dist)
  await addSurroundings(directory)
}

/** As scripts/copyAssets.mjs does for dist. */
export async function addAssets(dist: string): Promise<void> {
  await cp(join(root, 'src'), dist, {
    recursive: true,
    filter: (source) => !/\.[a-z]+$/.test(source) || source.endsWith('.sql'),
  })
}

export async function addSurroundings(directory: string): Promise<void> {
  await cp(join(root, 'package.json'), join(directory, 'package.json'))
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'), 'junction')
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${output}`)
}

async function untilThere(directory: string): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (performance.now() < deadline) {
    const found = await stat(directory).catch(() => null)
    if (found !== null) return
    await delay(50)
  }
  throw new Error('The build that another test began did not end')
}
