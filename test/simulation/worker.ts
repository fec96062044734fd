import { parentPort, workerData } from 'node:worker_threads'
import type { Share } from './parallel.ts'
import { runSeeds } from './runSeeds.ts'

// A thread of parallel.ts: a simulation takes over the clocks and timers of the thread it runs in.

const { from, step, count } = workerData as Share
const seeds = Array.from({ length: count }, (_, index) => from + index * step)
parentPort?.postMessage(await runSeeds(seeds, (line) => parentPort?.postMessage({ line })))
