import { expect, it } from 'vitest'
import { simulate } from './simulate.ts'

it('runs', { timeout: 200_000 }, async () => {
  const from = Number(process.env.FROM ?? 1)
  const n = Number(process.env.N ?? 20)
  const t = performance.now()
  let bad = 0
  for (let seed = from; seed < from + n; seed += 1) {
    const t0 = performance.now()
    const r = await simulate(seed)
    const ms = performance.now() - t0
    if (n <= 30)
      console.log(
        seed,
        r.tasks,
        Math.round(r.simulatedMs),
        ms.toFixed(1),
        r.verdict.figures.calls,
        r.verdict.figures.events,
        r.traceHash,
        r.faults.length,
      )
    if (r.faults.length > 0) {
      bad += 1
      if (bad < 4) console.log(seed, JSON.stringify(r.verdict.counts), r.faults.slice(0, 3).join('\n'))
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  console.log('bad', bad, 'ms each', ((performance.now() - t) / n).toFixed(1))
  expect(bad).toBe(0)
})
