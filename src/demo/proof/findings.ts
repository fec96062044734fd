/** What the proof looks at, in the order in which the verdict shows it. */
export const checks = {
  recorded: 'every report that was taken is in the log exactly once, and none is left waiting',
  invented: 'nothing is in the log that was refused, was never sent, or asked for no event',
  faithful: 'every event says what its report said',
  receipts: 'every repeat got the receipt of the first sending, and it points at the event',
  revisions: 'revisions run from 0 without gap or repeat',
  chain: 'the hash chain holds, recomputed here from the stored bytes',
  order: 'every move is one the pipeline defines; no newer report was overwritten by an older one',
  end: 'every operation ended as its document had to',
  readById: 'reading an operation gives what its events fold to',
  list: 'the list (read model) gives the same',
  tail: 'who followed the log while it grew saw every event once, in order',
  stats: '/v1/stats adds up',
  reads: 'no reader met a 404, an error or a step back after an acknowledged report',
} as const

export type Check = keyof typeof checks

export interface Fault {
  readonly check: Check
  readonly subject: string
  readonly detail: string
}

/** Collects what was looked at and what was wrong. */
export interface Findings {
  looked(check: Check, times?: number): void
  fault(check: Check, subject: string, detail: string): void
  readonly looks: ReadonlyMap<Check, number>
  readonly faults: readonly Fault[]
}

export function createFindings(): Findings {
  const looks = new Map<Check, number>()
  const faults: Fault[] = []
  return {
    looked: (check, times = 1) => {
      looks.set(check, (looks.get(check) ?? 0) + times)
    },
    fault: (check, subject, detail) => {
      faults.push({ check, subject, detail })
    },
    looks,
    faults,
  }
}
