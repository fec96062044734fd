import { createInterface } from 'node:readline/promises'

/** What a verb writes to and reads from. */
export interface Terminal {
  /** Data, and nothing else, on standard output. */
  data(text: string): void
  /** What is going on, on standard error; nothing with --quiet. */
  progress(text: string): void
  /** A line that the next one overwrites, on a terminal; off one, with --quiet too, nothing. An empty text ends it. */
  fleeting(text: string): void
  /** Whether standard error is a terminal: `fleeting` shows something. */
  readonly isTerminal: boolean
  /** Whether a person can be asked. */
  readonly asks: boolean
  confirm(question: string): Promise<boolean>
  /** For a heading on a terminal; as it is off one, or with NO_COLOR. */
  bold(text: string): string
}

type Environment = Readonly<Record<string, string | undefined>>

export function createTerminal(environment: Environment, quiet: boolean): Terminal {
  const { stdin, stdout, stderr } = process
  const colours = stdout.isTTY && (environment.NO_COLOR ?? '') === ''
  return {
    data: (text) => void stdout.write(`${text}\n`),
    progress: (text) => {
      if (!quiet) stderr.write(`${text}\n`)
    },
    fleeting: (text) => {
      if (!quiet && stderr.isTTY) stderr.write(`\r\u001b[2K${text}`)
    },
    isTerminal: stderr.isTTY,
    asks: stdin.isTTY && stderr.isTTY,
    async confirm(question) {
      const asking = createInterface({ input: stdin, output: stderr })
      try {
        return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim())
      } finally {
        asking.close()
      }
    },
    bold: (text) => (colours ? `\u001b[1m${text}\u001b[22m` : text),
  }
}

/** Columns as wide as their widest cell, or as `widths` has them from before; the last one is not padded. */
export function table(rows: readonly (readonly string[])[], widths: number[] = []): string[] {
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  return rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
  )
}
