import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Binaries, binariesIn } from './binaries.ts'
import { childEnvironment } from './childEnvironment.ts'
import { EmbeddedPostgresError } from './errors.ts'
import type { ServerUser } from './serverUser.ts'

const CACHE = '/var/cache/waybill'

/**
 * Programs that the server's user can run: those of the package where that works. Below a folder that the user must not
 * enter (a clone in /root), or installed under a umask of 077, they are copied once to a folder of root's that everybody
 * can read: 60 MB, `/var/cache/waybill/postgres-{version}`.
 */
export async function installBinaries(
  binaries: Binaries,
  user: ServerUser | null,
  log: (message: string) => void,
): Promise<Binaries> {
  const problem = cannotRun(binaries, user)
  if (problem === null) return binaries
  if (user === null)
    throw new EmbeddedPostgresError(
      `The PostgreSQL in ${binaries.directory} does not run here: ${problem}. DATABASE_URL can name a server of your own.`,
    )
  const copy = binariesIn(join(CACHE, `postgres-${binaries.version}-${process.arch}`), binaries.version)
  try {
    await mkdir(CACHE, { recursive: true, mode: 0o755 })
    await requireOnlyRootWrites(CACHE)
    if (!(await isWhole(copy.directory, binaries.directory))) {
      log(`Copying PostgreSQL to ${copy.directory}, where user ${user.name} can run it (once; 60 MB)`)
      await copyWhole(binaries.directory, copy.directory)
    }
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error
    throw new EmbeddedPostgresError(
      `User ${user.name}, as whom PostgreSQL must run, cannot run it from ${binaries.directory}, ` +
        `and it cannot be copied to ${copy.directory}: ${(error as Error).message}`,
      { cause: error },
    )
  }
  const remaining = cannotRun(copy, user)
  if (remaining !== null) {
    throw new EmbeddedPostgresError(
      `The PostgreSQL in ${copy.directory} does not run as user ${user.name}: ${remaining}`,
    )
  }
  return copy
}

/** Null: it runs, and its shared files can be read. */
function cannotRun(binaries: Binaries, user: ServerUser | null): string | null {
  const identity = user === null ? {} : { uid: user.uid, gid: user.gid }
  const run = (program: string, parameters: string[]) =>
    spawnSync(program, parameters, { ...identity, cwd: '/', env: childEnvironment, encoding: 'utf8', timeout: 30_000 })
  const { status, error, stderr } = run(binaries.postgres, ['--version'])
  if (status !== 0) return error?.message ?? stderr.trim()
  if (user === null) return null
  const bootstrapFile = join(binaries.directory, 'share', 'postgresql', 'postgres.bki')
  return run('/bin/sh', ['-c', '[ -r "$0" ]', bootstrapFile]).status === 0 ? null : `${bootstrapFile} cannot be read`
}

/** What root runs or hands to a user of its own must not be of anybody else's making. */
async function requireOnlyRootWrites(directory: string): Promise<void> {
  const { uid, mode } = await lstat(directory)
  if (uid !== 0 || (mode & 0o022) !== 0) {
    throw new EmbeddedPostgresError(`${directory} must belong to root and be writable by nobody else.`)
  }
}

/** Every file is there in its full length: a copy that a power cut left short is made again. */
async function isWhole(copy: string, original: string): Promise<boolean> {
  for (const entry of await listFiles(original)) {
    const [source, target] = await Promise.all([stat(join(original, entry)), stat(join(copy, entry)).catch(() => null)])
    if (target?.size !== source.size) return false
  }
  return true
}

async function copyWhole(original: string, copy: string): Promise<void> {
  const partial = `${copy}.${process.pid}.partial`
  await rm(partial, { recursive: true, force: true })
  await cp(original, partial, { recursive: true, verbatimSymlinks: true, filter: (source) => !source.endsWith('.a') })
  for (const directory of [partial, ...(await listFolders(partial))]) await chmod(directory, 0o755)
  for (const file of await listFiles(partial)) {
    const path = join(partial, file)
    await chmod(path, ((await stat(path)).mode & 0o111) === 0 ? 0o644 : 0o755)
  }
  const old = `${copy}.${process.pid}.old`
  await rename(copy, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(partial, copy).catch(async (error: NodeJS.ErrnoException) => {
    // Another Waybill was faster: its copy is as good.
    await rm(partial, { recursive: true, force: true })
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  await rm(old, { recursive: true, force: true })
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.a'))
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
}

async function listFolders(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}
