import { constants } from 'node:fs'
import { copyFile, rename, rm, stat } from 'node:fs/promises'
import { openOwn } from './ownFiles.ts'

const BYTES_MAX = 16 * 1024 * 1024
const CHECK_INTERVAL_MS = 60_000

/** `postgres.log` and, once that has grown past 16 MiB, `postgres.log.1`: 32 MiB, and what a minute adds, at most. */
export interface ServerLog {
  readonly path: string
  /** Bytes so far: what a failed start wrote stands behind. */
  size(): Promise<number>
  /** The end of what was written from byte `start` on, at most 2,000 characters. */
  since(start: number): Promise<string>
  close(): void
}

export async function openServerLog(path: string): Promise<ServerLog> {
  const size = () =>
    stat(path).then(
      (stats) => stats.size,
      () => 0,
    )
  if ((await size()) > BYTES_MAX) await rename(path, `${path}.1`)
  await (await openOwn(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT)).close()
  const check = setInterval(() => {
    // The server keeps the file open for appending, so it is emptied in place: the next line goes to its beginning.
    const rotate = async () => {
      if ((await size()) <= BYTES_MAX) return
      await rm(`${path}.1`, { force: true })
      // It has the mode of what it is a copy of.
      await copyFile(path, `${path}.1`, constants.COPYFILE_EXCL)
      const file = await openOwn(path, constants.O_WRONLY)
      await file.truncate().finally(() => file.close())
    }
    // A full disk must not end the process for its server's log.
    rotate().catch(() => undefined)
  }, CHECK_INTERVAL_MS)
  check.unref()
  return {
    path,
    size,
    since: async (start) => {
      const file = await openOwn(path, constants.O_RDONLY)
      try {
        const end = (await file.stat()).size
        const from = Math.max(start, end - 2_000)
        const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, end - from)), 0, end - from, from)
        return buffer.toString('utf8', 0, bytesRead).trim()
      } finally {
        await file.close()
      }
    },
    close: () => clearInterval(check),
  }
}
