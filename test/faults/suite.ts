/** One kind of fault, run for real: a file in suites/, listed in main.ts. */
export interface Suite {
  readonly name: string
  /** One line for the help text. */
  readonly description: string
  run(context: SuiteContext): Promise<SuiteReport>
}

export interface SuiteContext {
  /** Seconds rather than minutes: what CI runs. */
  readonly short: boolean
  /** Of all that is random; the same seed plans the same run, but no machine runs it in the same way twice. */
  readonly seed: number
  /** How much is to be done, in the suite's own measure; null: as the suite thinks best. */
  readonly rounds: number | null
  /** For temporary files: gone after the run, with every PostgreSQL that works below it. */
  readonly scratch: string
  /** For what is to be kept. Exists. */
  readonly results: string
  /** Keep what the run was judged by, also where no fault was found. */
  readonly keep: boolean
  /** A line for who waits. */
  readonly progress: (line: string) => void
  /** Where the built service is. */
  readonly service: { readonly directory: string; readonly program: string }
}

export interface SuiteReport {
  /** Sentences, or the checker's faults in text; empty: all is well. */
  readonly faults: readonly string[]
  /** What could not be run on this machine, and why: it has neither passed nor failed. */
  readonly notRun?: readonly string[]
  /** What was measured, for the report in JSON. */
  readonly figures: object
  /** The same for people: Markdown, without a heading. */
  readonly markdown: string
}

export function markdownTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
