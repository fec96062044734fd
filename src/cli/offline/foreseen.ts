import { CopyError } from '../../eventlog/copy/copyLog.ts'
import { LogUnavailableError } from '../../eventlog/eventLog.ts'
import { IndirectConnectionError, UnsuitableServerError } from '../../postgres/connectDirectly.ts'
import { EmbeddedPostgresError } from '../../postgres/embedded/errors.ts'
import { MigrationError } from '../../postgres/migrate.ts'
import { PackageMissingError } from '../../runtime/optionalPackage.ts'
import { CommandFailed } from '../outcome.ts'

/** What can go wrong without a bug, as one line. */
export async function foreseen<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const isForeseen =
      error instanceof CopyError ||
      error instanceof LogUnavailableError ||
      error instanceof MigrationError ||
      error instanceof EmbeddedPostgresError ||
      error instanceof PackageMissingError ||
      error instanceof IndirectConnectionError ||
      error instanceof UnsuitableServerError ||
      (error instanceof Error && 'code' in error)
    if (isForeseen) throw new CommandFailed(error.message, { cause: error })
    throw error
  }
}
