// The read model of a million operations, folded anew from ten million events while it is read.
import { openDataset } from '../dataset/dataset.mjs'
import { rebuildWhileReading } from '../dataset/rebuild.mjs'
import { readRequest } from '../load/reads.mjs'
import { number } from '../report/print.mjs'

export const rebuild = {
  name: 'rebuild',
  title: 'a rebuild of the projection at 10,000,000 events',
  needsDataset: true,
  targets: [
    { id: 'rate', what: 'rebuild, reads going on', unit: ' events/s', reach: 100_000, aim: 200_000 },
    { id: 'growth', what: "the service's memory in its last half, beyond its first", unit: 'MB', less: true },
  ],
  sizes: { manyOperations: 1_000_000, events: 10_000_000, readPace: 500, seconds: 6 },
  smoke: { manyOperations: 2_000, events: 6_000, readPace: 100, seconds: 1 },

  async run(bench) {
    const { manyOperations: operations, events, readPace, seconds } = bench.sizes
    const dataset = await openDataset(bench, { operations, events })
    try {
      const { party, info } = dataset
      const request = readRequest({ operations: info.inAny, apiKey: party.apiKey, from: 0 })
      const rebuilt = await rebuildWhileReading({ party, readPace, seconds, request, say: bench.say })
      return {
        values: { rate: { value: rebuilt.perSecond }, growth: { value: rebuilt.growthMb } },
        notes: [
          `Rebuilt ${rebuilt.events} events in ${rebuilt.seconds.toFixed(1)} s with ${readPace} reads/s going on (their p99 ` +
            `${number(rebuilt.reads.p99Ms)} ms), memory ${Math.round(rebuilt.firstHalfMb)} MB at most in the first half, ` +
            `${Math.round(rebuilt.lastHalfMb)} MB in the last.`,
        ],
        turns: { rebuild: rebuilt },
      }
    } finally {
      await dataset.close()
    }
  },
}
