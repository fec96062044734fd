import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { WrongUsage } from './outcome.ts'

/** A file that is not there yet and that this user alone can read. */
export interface SecretFile {
  write(text: string): void
  /** What could not be had is not kept. */
  remove(): void
}

/**
 * Makes the file before what it shall hold is asked for: what is shown once must not be lost for want of a place. A shell's `>`
 * would make it readable for everybody, and would write into a file that is there. @throws {WrongUsage}
 */
export function makeSecretFile(path: string): SecretFile {
  let file: number
  try {
    // Exclusive, and so no link is followed either.
    file = openSync(path, 'wx', 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new WrongUsage(
      code === 'EEXIST'
        ? `The file ${path} is there already, and is left as it is`
        : `${path} cannot be made (${code})`,
    )
  }
  return {
    write(text) {
      writeSync(file, text)
      closeSync(file)
    },
    remove() {
      closeSync(file)
      rmSync(path, { force: true })
    },
  }
}
