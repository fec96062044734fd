import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Binaries } from './binaries.ts'
import { childEnvironment } from './childEnvironment.ts'
import { EmbeddedPostgresError } from './errors.ts'
import { type FolderAccess, openFolderFor } from './folderAccess.ts'
import { createOwn, readOwn } from './ownFiles.ts'
import type { ServerUser } from './serverUser.ts'

export const SUPERUSER = 'waybill'
const PASSWORD_FILE = 'postgres-password'
const PARTIAL = 'postgres.partial-'

/** Whether the cluster is there. @throws {EmbeddedPostgresError} it belongs to another major version of PostgreSQL */
export async function clusterExists(clusterDirectory: string, binaries: Binaries): Promise<boolean> {
  let version: string
  try {
    version = (await readFile(join(clusterDirectory, 'PG_VERSION'), 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw new EmbeddedPostgresError(
      `The database in ${clusterDirectory} cannot be read by this user: ${(error as Error).message}. ` +
        'Run Waybill as the user who made it, or give it a directory of its own (WAYBILL_DATA_DIR).',
      { cause: error },
    )
  }
  if (version !== binaries.major) {
    throw new EmbeddedPostgresError(
      `The database in ${clusterDirectory} was made by PostgreSQL ${version}; this Waybill brings PostgreSQL ${binaries.major}, ` +
        'which cannot open it. Nothing was changed. Run the Waybill that made it, or move the data with pg_dump and ' +
        'pg_restore (docs/operations.md).',
    )
  }
  return true
}

/** The superuser's password: random, one per directory, in a file that only Waybill's user can read. */
export async function readPassword(dataDir: string, create: boolean): Promise<string> {
  const path = join(dataDir, PASSWORD_FILE)
  try {
    const password = (await readOwn(path)).trim()
    if (password !== '') return password
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new EmbeddedPostgresError(`The database's password cannot be read: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  if (!create) throw new EmbeddedPostgresError(`The database's password is gone: there is no ${path}.`)
  const password = randomBytes(24).toString('base64url')
  await writeDurably(path, `${password}\n`)
  return password
}

export interface NewCluster {
  readonly dataDir: string
  readonly clusterDirectory: string
  readonly binaries: Binaries
  readonly user: ServerUser | null
  readonly password: string
}

/**
 * Makes a cluster. initdb works in a folder of another name, renamed when all of it is on disk: what is found under the
 * real name is whole, whenever the power went. The folder has a new name each time, for an initdb whose Waybill was killed
 * may still be at work in an old one.
 */
export async function createCluster({
  dataDir,
  clusterDirectory,
  binaries,
  user,
  password,
}: NewCluster): Promise<void> {
  const remains = (await readdir(dataDir)).filter((name) => name.startsWith(PARTIAL))
  await Promise.all(remains.map((name) => rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 10 })))
  const partial = await mkdtemp(join(dataDir, PARTIAL))
  try {
    const passwordFile = join(partial, 'password')
    const file = await createOwn(passwordFile)
    try {
      await file.writeFile(`${password}\n`)
      if (user !== null) await file.chown(user.uid, user.gid)
    } finally {
      await file.close()
    }
    if (user !== null) await chown(partial, user.uid, user.gid)
    const access = openFolderFor(user, partial)
    try {
      await runInitdb(binaries, user, access)
    } finally {
      access.close()
    }
    await rename(join(partial, 'data'), clusterDirectory)
    await syncDirectory(dataDir)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

async function runInitdb(binaries: Binaries, user: ServerUser | null, access: FolderAccess): Promise<void> {
  const child = spawn(
    binaries.initdb,
    [
      `--pgdata=${access.path}/data`,
      `--username=${SUPERUSER}`,
      `--pwfile=${access.path}/password`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // PostgreSQL's own C.UTF-8: the same order and case rules on every machine, whatever its libc.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--data-checksums',
    ],
    {
      // Ctrl-C in a terminal signals the whole foreground group; Waybill stops in order once this is done.
      detached: true,
      cwd: '/',
      env: childEnvironment,
      stdio: access.stdio('pipe'),
      ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    },
  )
  let output = ''
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000)
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new EmbeddedPostgresError(`initdb failed (${code ?? signal}): ${output.trim()}`))
    })
  })
}

/** Written under another name, flushed, then renamed: the file is whole or not there. */
async function writeDurably(path: string, text: string): Promise<void> {
  const partial = `${path}.partial`
  const file = await createOwn(partial)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(partial, path)
  await syncDirectory(join(path, '..'))
}

async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
