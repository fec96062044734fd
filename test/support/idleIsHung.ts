// Set up before tests in memory that mutants are put before: many mutants never answer, and a test in which nothing happens
// any more waits in vain. Told by turns of the event loop and processor time, since on a busy machine seconds pass as well
// for a test that is on its way.
import { performance } from 'node:perf_hooks'
import { aroundEach } from 'vitest'

const tickMs = 100
const idleTicksMax = 20

aroundEach(async (runTest) => {
  const every = globalThis.setInterval
  let timer: NodeJS.Timeout | undefined
  const intervals: NodeJS.Timeout[] = []
  // A service that never comes to its end would go on turning the loop.
  globalThis.setInterval = ((...call: Parameters<typeof every>) => {
    const interval = every(...call)
    intervals.push(interval)
    return interval
  }) as typeof every
  const hung = new Promise<never>((_, reject) => {
    let idleTicks = 0
    let before = done()
    timer = every(() => {
      const now = done()
      const isIdle = now.turns - before.turns <= 10 && now.processorMs - before.processorMs < 5
      before = now
      idleTicks = isIdle ? idleTicks + 1 : 0
      if (idleTicks === idleTicksMax) reject(new Error('hung: nothing happens any more'))
    }, tickMs)
  })
  try {
    await Promise.race([runTest(), hung])
  } finally {
    globalThis.setInterval = every
    clearInterval(timer)
    for (const interval of intervals) clearInterval(interval)
  }
})

function done(): { readonly turns: number; readonly processorMs: number } {
  const { user, system } = process.cpuUsage()
  return { turns: performance.nodeTiming.uvMetricsInfo.loopCount, processorMs: (user + system) / 1_000 }
}
