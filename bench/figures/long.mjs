// One operation with very many events: what a report on it costs while its state is in memory, and right after a restart,
// when its stream has to be folded first. Beside it, for comparison, an operation of one event under the same conditions.
import { Agent } from 'node:http'
import { reportLine, sendCommands } from '../load/bulk.mjs'
import { postReport } from '../load/single.mjs'
import { startParty } from '../parties/parties.mjs'
import { spread } from '../report/spread.mjs'

export const long = {
  name: 'long',
  title: 'one operation with 100,000 events',
  targets: [
    { id: 'warm', what: 'a report, warm (median)', unit: 'ms', less: true, reach: 5, aim: 2 },
    { id: 'cold', what: 'a report, right after a restart (median)', unit: 'ms', less: true, reach: 100, aim: 30 },
    { id: 'coldShort', what: 'for comparison: the same on an operation of one event', unit: 'ms' },
  ],
  sizes: { events: 100_000, warmReports: 200, restarts: 5 },
  smoke: { events: 2_000, warmReports: 20, restarts: 1 },

  async run(bench) {
    const { events, warmReports, restarts } = bench.sizes
    const party = await startParty('waybill', { server: await bench.server(), operations: 0, ...bench.common })
    const agent = new Agent({ keepAlive: true })
    const report = (operation, key) =>
      postReport({
        url: party.url,
        agent,
        operation,
        key,
        body: bench.bodies[0],
        access: party.access,
        pipeline: 'any',
      })
    try {
      await fill(party, bench, events)
      await party.settle()
      const warm = []
      for (let n = 0; n < warmReports; n += 1) warm.push(await report('long', `warm-${n}`))
      const [cold, coldShort] = [[], []]
      for (let turn = 0; turn < restarts; turn += 1) {
        for (const [operation, times] of [
          ['long', cold],
          [`short-${turn}`, coldShort],
        ]) {
          if (operation !== 'long') await report(operation, 'first')
          await party.settle()
          await party.restart()
          times.push(await report(operation, `cold-${turn}`))
        }
        bench.say(
          `restart ${turn + 1} of ${restarts}: ${cold.at(-1).toFixed(0)} ms, short ${coldShort.at(-1).toFixed(0)} ms`,
        )
      }
      const recorded = await party.recordedSince(0)
      const sent = events + warmReports + restarts * 3
      // Opening by a report is an event more.
      if (recorded !== sent + 1 + restarts)
        throw new Error(`${sent} reports were acknowledged, the log has ${recorded} events`)
      return {
        values: { warm: spread(warm), cold: spread(cold), coldShort: spread(coldShort) },
        turns: { warm, cold, coldShort },
      }
    } finally {
      agent.destroy()
      await party.stop()
    }
  },
}

async function fill(party, bench, events) {
  const batch = 500
  const started = performance.now()
  for (let from = 0; from < events; from += batch) {
    const lines = Array.from({ length: Math.min(batch, events - from) }, (_, index) => {
      const body = bench.bodies[(from + index) % bench.bodies.length]
      return reportLine('long', `fill-${from + index}`, `${body.slice(0, -1)},"pipeline":"any"}`)
    })
    await sendCommands(party.url, lines, party.access)
  }
  bench.say(`${events} reports on one operation in ${((performance.now() - started) / 1_000).toFixed(1)} s`)
}
