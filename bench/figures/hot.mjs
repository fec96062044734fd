// All reports on ten operations: rows that everybody wants at once. As the disk is, and on one that takes 2 ms to confirm.
import { ratioOf, takeTurns, turnRows } from '../load/turns.mjs'
import { startParties, stopParties } from '../parties/parties.mjs'
import { commitMs, startSlowServer, whyNoSlowServer } from '../parties/slowServer.mjs'

const operations = 10

export const hot = {
  name: 'hot',
  title: 'all reports on 10 hot operations',
  targets: [
    { id: 'asIs', what: 'times the naive service, as the disk is', unit: '', reach: 3, aim: 5 },
    { id: 'slow', what: 'times the naive service, an fsync of 2 ms', unit: '', reach: 5, aim: 10 },
  ],
  sizes: { hotConnections: 64, rounds: 5, seconds: 6, warmup: 4 },
  smoke: { hotConnections: 64, rounds: 1, seconds: 1, warmup: 0 },

  async run(bench) {
    const result = { values: {}, notRun: {}, turns: [], tables: [], notes: [] }
    await onServer('asIs', await bench.server(), bench, result)
    const reason = whyNoSlowServer()
    if (reason !== null) {
      result.notRun.slow = reason
      return result
    }
    const slow = await startSlowServer(bench.scratch)
    try {
      await onServer('slow', slow, bench, result)
    } finally {
      await slow.stop()
    }
    return result
  },
}

async function onServer(disk, server, bench, result) {
  const { hotConnections: connections, rounds, seconds, warmup } = bench.sizes
  const oneCommitMs = await commitMs(server)
  const parties = await startParties(['naive', 'waybill'], { server, operations, ...bench.common })
  try {
    const options = { server, rounds, seconds, warmupSeconds: warmup, connections, operations, bench }
    const turns = await takeTurns({ parties, ...options })
    result.turns.push(...turns.map((turn) => ({ disk, ...turn })))
    result.tables.push(turnRows(turns, parties, disk === 'slow' ? 'fsync of 2 ms' : 'disk as it is'))
    result.values[disk] = ratioOf(turns, 'waybill', 'naive')
    result.notes.push(`A commit alone takes ${oneCommitMs.toFixed(2)} ms (${disk === 'slow' ? 'slowed' : 'as it is'}).`)
  } finally {
    await stopParties(parties)
  }
}
