import { writeSync } from 'node:fs'

/** What the output has not taken yet is kept up to here; lines that come then are dropped. */
const waitingBytesMax = 1024 * 1024

const standardOutput = 1

/**
 * Writes log lines to standard output, each at once, and drops what cannot be written: a reader that has left or a full
 * disk is no reason to serve no longer, and when the disk has room again lines are written again. pino's own output ends
 * the process at such an error; with a listener for it, it keeps the process from ending: at the exit it tries again for
 * ever to write what is left (sonic-boom 4.2, `flushSync`).
 */
export function createLogOutput(stdout: NodeJS.WriteStream): { write(line: string): void } {
  return {
    write(line) {
      let rest = Buffer.from(line)
      try {
        // What was left to the stream must go first.
        while (rest.length > 0 && stdout.writableLength === 0) rest = rest.subarray(writeSync(standardOutput, rest))
      } catch (error) {
        // Its reader is slow: the stream goes on when it can.
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      }
      if (rest.length > 0 && stdout.writableLength < waitingBytesMax) stdout.write(rest)
    },
  }
}
