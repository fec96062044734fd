import { readFileSync } from 'node:fs'

/** What is configured needs an npm package that is not installed. The message says which, for what, and how to install it. */
export class PackageMissingError extends Error {
  override readonly name = 'PackageMissingError'
}

interface Manifest {
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** How a person installs `packageName`, in the version that `declaredAs` (by default the same package) has in package.json. */
export function installCommand(packageName: string, declaredAs = packageName): string {
  // It is beside `src` and `dist` alike, and holds the exact versions that Waybill is tested with.
  const manifest: Manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const version = manifest.optionalDependencies[declaredAs] ?? manifest.peerDependencies[declaredAs]
  return `npm install ${packageName}@${version} (with --global where Waybill was installed with it)`
}

/**
 * Runs `load`, which imports modules that need `packageName`. When that package is not installed it throws
 * PackageMissingError, whose message begins with `need`: what somebody configured that needs the package.
 */
export async function importWith<T>(packageName: string, need: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if (!isMissing(error, packageName)) throw error
    throw new PackageMissingError(
      `${need} needs the npm package ${packageName}, which is not installed. Install it: ${installCommand(packageName)}.`,
      { cause: error },
    )
  }
}

function isMissing(error: unknown, packageName: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false
  // Node names the package in quotes; one of its own dependencies may be what is missing, which is another fault.
  return error.message.includes(`package '${packageName}'`)
}
