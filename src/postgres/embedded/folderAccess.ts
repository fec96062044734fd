import type { StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { EmbeddedPostgresError } from './errors.ts'
import { canReach, type ServerUser } from './serverUser.ts'

/** How a program that runs as another user gets at a folder of that user's. */
export interface FolderAccess {
  /** The folder's path for the program. */
  readonly path: string
  /** The program's standard input, output and error, and what else it must inherit. */
  stdio(output: 'pipe' | number): StdioOptions
  close(): void
}

/**
 * The folder may lie below one that the user must not enter, such as /root. Linux checks a path from its beginning, so the
 * program is handed the folder itself, opened, and names it /proc/self/fd/3. What it starts inherits both.
 */
export function openFolderFor(user: ServerUser | null, directory: string): FolderAccess {
  if (canReach(user, directory, 'enter')) {
    return { path: directory, stdio: (output) => ['ignore', output, output], close: () => undefined }
  }
  if (process.platform !== 'linux') {
    throw new EmbeddedPostgresError(
      `PostgreSQL runs as user ${user?.name}, who cannot enter ${directory} or a folder above it. ` +
        'Choose another directory (WAYBILL_DATA_DIR), or run Waybill as a plain user.',
    )
  }
  const descriptor = openSync(directory, 'r')
  return {
    path: '/proc/self/fd/3',
    stdio: (output) => ['ignore', output, output, descriptor],
    close: () => closeSync(descriptor),
  }
}
