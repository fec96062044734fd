import { copyFile, open, rename, stat, truncate } from 'node:fs/promises'
import { giveToFolderOwner } from './ownership.ts'

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
  await (await open(path, 'a', 0o600)).close()
  await giveToFolderOwner(path)
  const check = setInterval(() => {
    // The server keeps the file open for appending, so it is emptied in place: the next line goes to its beginning.
    const rotate = async () => {
      if ((await size()) <= BYTES_MAX) return
      await copyFile(path, `${path}.1`)
      await giveToFolderOwner(`${path}.1`)
      await truncate(path)
    }
    // A full disk must not end the process for its server's log.
    rotate().catch(() => undefined)
  }, CHECK_INTERVAL_MS)
  check.unref()
  return {
    path,
    size,
    since: async (start) => {
      const file = await open(path, 'r')
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
