// Status reports over HTTP, one at a time a connection: durable, decided, projected. The ceiling is a bare route.
import { ratioOf, takeTurns, turnRows } from '../load/turns.mjs'
import { startParties, stopParties } from '../parties/parties.mjs'

export const reports = {
  name: 'reports',
  title: 'single reports over HTTP',
  targets: [
    { id: 'bare64', what: 'share of the bare route, 64 connections', unit: '', reach: 0.5, aim: 0.6 },
    { id: 'bare256', what: 'share of the bare route, 256 connections', unit: '', reach: 0.6, aim: 0.7 },
    { id: 'naive64', what: 'times the naive service, 64 connections', unit: '', reach: 2.2, aim: 3 },
    { id: 'naive256', what: 'times the naive service, 256 connections', unit: '', reach: 2.2, aim: 3 },
  ],
  sizes: { connections: [64, 256], rounds: 5, seconds: 6, warmup: 4, operations: 10_000 },
  smoke: { connections: [64], rounds: 1, seconds: 1, warmup: 0, operations: 1_000 },

  async run(bench) {
    const { connections, rounds, seconds, warmup, operations } = bench.sizes
    const server = await bench.server()
    const parties = await startParties(['bare', 'naive', 'waybill'], { server, operations, ...bench.common })
    try {
      const result = { values: {}, turns: [], tables: [] }
      for (const count of connections) {
        const options = { server, rounds, seconds, warmupSeconds: warmup, connections: count, operations, bench }
        const turns = await takeTurns({ parties, ...options })
        result.turns.push(...turns)
        result.tables.push(turnRows(turns, parties, `${count} connections`))
        result.values[`bare${count}`] = ratioOf(turns, 'waybill', 'bare')
        result.values[`naive${count}`] = ratioOf(turns, 'waybill', 'naive')
      }
      return result
    } finally {
      await stopParties(parties)
    }
  },
}
