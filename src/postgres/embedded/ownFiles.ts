import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EmbeddedPostgresError } from './errors.ts'

// The files of the data directory. Whoever else can write into it must not make this process write, give away or make
// readable a file somewhere else by a link of that file's name; as root that could be any file of the machine.

/** Opening fails with ELOOP where the name is a link's. (Windows has no such flag.) */
export const noFollow = constants.O_NOFOLLOW ?? 0

/** A pipe of a file's name would keep the opening waiting otherwise. */
const noWait = constants.O_NONBLOCK ?? 0

const mode = 0o600

/**
 * Refuses, as root, a folder that is another user's: they could exchange it, and what is in it, between any two steps here.
 * Not as root: what may be done to the files of this user is decided by the modes of those files.
 *
 * @throws {EmbeddedPostgresError}
 */
export async function requireOwnFolder(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid } = await stat(folder)
  if (uid === 0) return
  throw new EmbeddedPostgresError(
    `The folder ${folder} belongs to another user (${uid}), and Waybill runs as root, which writes into no folder of others. ` +
      'Run Waybill as that user, or give it a directory of its own (WAYBILL_DATA_DIR).',
  )
}

/**
 * Refuses, as root, a path through a link that another user has laid: root would make a folder, and files in it, wherever
 * they like. What is not there yet is passed over.
 *
 * @throws {EmbeddedPostgresError}
 */
export async function requireOwnPath(folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const found = await lstat(path).catch(() => null)
    if (found?.isSymbolicLink() !== true || found.uid === 0) continue
    throw new EmbeddedPostgresError(
      `${path} is a link of another user (${found.uid}), and Waybill runs as root, which follows none. ` +
        'Run Waybill as that user, or name the folder itself (WAYBILL_DATA_DIR).',
    )
  }
}

/** As `requireOwnFolder`, of a folder that Waybill makes itself: no link has its name. @throws {EmbeddedPostgresError} */
export async function requireFolder(folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) {
    throw new EmbeddedPostgresError(`${folder} is a link, and must be a folder: remove it, and start Waybill again.`)
  }
  await requireOwnFolder(folder)
}

/** A file that this user alone may read and write, new under its name: what had the name before is removed, not followed. */
export async function createOwn(path: string): Promise<FileHandle> {
  await rm(path, { force: true })
  // Exclusive: between the two steps nobody else's file takes the name.
  return own(path, await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow, mode))
}

/** A file that is there, or with O_CREAT is made. One that others could read becomes this user's alone. */
export async function openOwn(path: string, flags: number): Promise<FileHandle> {
  return own(path, await open(path, flags | noFollow | noWait, mode))
}

/** The text of such a file. */
export async function readOwn(path: string): Promise<string> {
  return textOf(await openOwn(path, constants.O_RDONLY), 'utf8')
}

/** The text of a file whose mode is the affair of the user it belongs to. */
export async function readWithoutLink(path: string, encoding: 'utf8' | 'latin1'): Promise<string> {
  return textOf(await open(path, constants.O_RDONLY | noFollow | noWait), encoding)
}

async function textOf(file: FileHandle, encoding: 'utf8' | 'latin1'): Promise<string> {
  try {
    return await file.readFile(encoding)
  } finally {
    await file.close()
  }
}

async function own(path: string, file: FileHandle): Promise<FileHandle> {
  try {
    const found = await file.stat()
    if (!found.isFile()) throw new EmbeddedPostgresError(`${path} is no file`)
    // Of the file that is open, whatever has its name by now. The modes of Windows mean something else.
    if (process.platform !== 'win32' && (found.mode & 0o777) !== mode && found.uid === process.getuid?.()) {
      await file.chmod(mode)
    }
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
