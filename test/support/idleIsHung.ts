// Set up before tests in memory that mutants are put before: many mutants never answer. A test that waits for nothing the
// machine works on has nothing to wait for. Counted in idle turns of a timer, not in seconds: on a busy machine those pass
// for tests that are on their way, too.
import { performance } from 'node:perf_hooks'
import { aroundEach } from 'vitest'

const turnMs = 100
const idleTurnsMax = 20

aroundEach(async (runTest) => {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<never>((_, reject) => {
    let before = performance.eventLoopUtilization()
    let idleTurns = 0
    timer = setInterval(() => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      idleTurns = utilization < 0.2 ? idleTurns + 1 : 0
      if (idleTurns === idleTurnsMax) reject(new Error('hung: nothing was done for two seconds'))
    }, turnMs)
  })
  try {
    await Promise.race([runTest(), hung])
  } finally {
    clearInterval(timer)
  }
})
