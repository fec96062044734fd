import { Worker } from 'node:worker_threads'
import type { RunSummary } from './runSeeds.ts'

/** Every so manieth seed of a run. */
export interface Share {
  readonly from: number
  readonly step: number
  readonly count: number
}

export interface Figures {
  readonly seeds: number
  readonly from: number
  readonly calls: number
  readonly events: number
  readonly tasks: number
  readonly simulatedHours: number
  readonly seconds: number
}

/** `seeds` runs, from a first seed on, on so many threads. Only when built: threads run no TypeScript. */
export async function runParallel(
  { seeds, from, workers }: { readonly seeds: number; readonly from: number; readonly workers: number },
  say: (line: string) => void,
): Promise<{ readonly figures: Figures; readonly failed: RunSummary['failed'] }> {
  const began = performance.now()
  const summaries = await Promise.all(
    Array.from({ length: Math.min(workers, seeds) }, (_, index) =>
      runShare({ from: from + index, step: workers, count: Math.floor((seeds - index + workers - 1) / workers) }, say),
    ),
  )
  const seconds = Number(((performance.now() - began) / 1_000).toFixed(1))
  const sum = (figure: 'calls' | 'events' | 'tasks' | 'simulatedMs'): number =>
    summaries.reduce((total, summary) => total + summary[figure], 0)
  const simulatedHours = Number((sum('simulatedMs') / 3_600_000).toFixed(1))
  const figures = {
    seeds,
    from,
    calls: sum('calls'),
    events: sum('events'),
    tasks: sum('tasks'),
    simulatedHours,
    seconds,
  }
  return { figures, failed: summaries.flatMap(({ failed }) => failed) }
}

function runShare(share: Share, say: (line: string) => void): Promise<RunSummary> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: share })
    worker.on('message', (message: { line: string } | RunSummary) => {
      if ('line' in message) say(`from ${share.from}: ${message.line}`)
      else resolve(message)
    })
    worker.on('error', reject)
  })
}
