// Reports in bulk: what is acknowledged, and what the projector keeps pace with for a minute.
import { setTimeout as delay } from 'node:timers/promises'
import { bulkLoop } from '../load/bulkLoop.mjs'
import { behind, startParty } from '../parties/parties.mjs'
import { processorUs, processorUsOfTree } from '../report/processorTime.mjs'
import { isGrowing, spread } from '../report/spread.mjs'

export const bulk = {
  name: 'bulk',
  title: 'bulk NDJSON',
  targets: [
    { id: 'acknowledged', what: 'acknowledged', unit: '/s', reach: 60_000, aim: 80_000 },
    { id: 'sustained', what: 'for a minute, in the read model as well', unit: '/s', reach: 40_000, aim: 50_000 },
    { id: 'behind', what: 'events behind at its end', unit: '', less: true },
  ],
  sizes: { lines: 500, bulkConnections: 4, rounds: 5, seconds: 6, warmup: 4, operations: 10_000, sustainedSeconds: 60 },
  smoke: { lines: 100, rounds: 1, seconds: 1, warmup: 1, operations: 1_000, sustainedSeconds: 2 },

  async run(bench) {
    const { lines, bulkConnections: connections, rounds, seconds, warmup, operations, sustainedSeconds } = bench.sizes
    const server = await bench.server()
    const party = await startParty('waybill', { server, operations, ...bench.common })
    const base = { party, connections, lines, operations, bodies: bench.bodies }
    const run = async (forSeconds, keyPrefix) => {
      const mark = await party.mark()
      const result = await bulkLoop({ ...base, seconds: forSeconds, keyPrefix })
      const recorded = await party.recordedSince(mark)
      if (recorded !== result.commands) {
        throw new Error(`${result.commands} reports were acknowledged, ${recorded} are in the log`)
      }
      return result
    }
    try {
      await run(warmup, 'warm')
      const rates = []
      for (let round = 1; round <= rounds; round += 1) {
        await party.settle()
        rates.push((await run(seconds, `round-${round}`)).perSecond)
        bench.say(`round ${round} of ${rounds}: ${Math.round(rates.at(-1))}/s`)
      }
      await party.settle()
      const before = await processorTimes(party, server)
      const pace = watchPace(party.client)
      const { commands, perSecond } = await run(sustainedSeconds, 'sustained')
      const seen = await pace.end()
      await party.settle()
      const after = await processorTimes(party, server)
      const us = (who) => Math.round((after[who] - before[who]) / commands)
      bench.say(`${sustainedSeconds} s: ${Math.round(perSecond)}/s acknowledged, ${seen.behind.at(-1)} events behind`)
      const growing = isGrowing(seen.behind)
      return {
        values: {
          acknowledged: spread(rates),
          sustained: { value: seen.visiblePerSecond },
          behind: { value: seen.behind.at(-1) },
        },
        notes: [
          `For ${sustainedSeconds} s, ${Math.round(perSecond)}/s were acknowledged, and ${Math.round(seen.visiblePerSecond)}/s became ` +
            `visible: the projector ${growing ? 'did NOT keep pace, it fell behind further and further' : 'kept pace'}.`,
          `Processor time a command: ${us('node')} us in the service, ${us('postgres')} in PostgreSQL, ${us('load')} in the load generator.`,
        ],
        turns: { rates, sustained: { perSecond, growing, ...seen } },
      }
    } finally {
      await party.stop()
    }
  },
}

async function processorTimes(party, server) {
  const { user, system } = process.cpuUsage()
  return { node: await processorUs(party.pid), postgres: await processorUsOfTree(server.pid), load: user + system }
}

/** Looks each second how far the read model is behind. */
function watchPace(client) {
  const series = []
  const visible = async () =>
    Number((await client.query('SELECT position FROM waybill_read.checkpoints')).rows[0].position)
  let over = false
  const watching = (async () => {
    const from = { position: await visible(), ms: performance.now() }
    while (!over) {
      await delay(1_000)
      series.push(await behind(client))
    }
    const seconds = (performance.now() - from.ms) / 1_000
    return { behind: series, visiblePerSecond: ((await visible()) - from.position) / seconds }
  })()
  return {
    end() {
      over = true
      return watching
    },
  }
}
