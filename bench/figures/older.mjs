// Today's build beside that of an older commit: single reports and bulk, small ones and some of 1.1 kB, turn by turn.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bulkLoop } from '../load/bulkLoop.mjs'
import { smallBodies } from '../load/payloads.mjs'
import { ratioOf, takeTurns, turnRows } from '../load/turns.mjs'
import { buildOlder } from '../parties/olderBuild.mjs'
import { startParties, stopParties } from '../parties/parties.mjs'

export const older = {
  name: 'older',
  title: 'times the build of an older commit (--against COMMIT)',
  targets: [
    { id: 'small64', what: 'small reports, 64 connections', unit: '', reach: 1.7, aim: 2.2 },
    { id: 'small256', what: 'small reports, 256 connections', unit: '', reach: 1.7, aim: 2.5 },
    { id: 'full64', what: 'reports of 1.1 kB, 64 connections', unit: '', reach: 2, aim: 2.5 },
    { id: 'full256', what: 'reports of 1.1 kB, 256 connections', unit: '', reach: 2, aim: 3 },
    { id: 'smallBulk', what: 'small reports in bulk', unit: '', reach: 2, aim: 2.5 },
    { id: 'fullBulk', what: 'reports of 1.1 kB in bulk', unit: '', reach: 2.5, aim: 3.4 },
  ],
  sizes: {
    connections: [64, 256],
    lines: 500,
    bulkConnections: 4,
    rounds: 5,
    seconds: 6,
    warmup: 4,
    operations: 10_000,
  },
  smoke: { connections: [64], lines: 100, rounds: 1, seconds: 1, warmup: 0, operations: 1_000 },

  async run(bench) {
    const result = { values: {}, notRun: {}, turns: [], tables: [] }
    if (bench.against === null) {
      for (const { id } of older.targets) result.notRun[id] = 'no commit was named'
      return result
    }
    const build = await buildOlder(bench.against, bench.say)
    const server = await bench.server()
    const { operations } = bench.sizes
    const parties = await startParties(['older', 'waybill'], { server, operations, older: build, ...bench.common })
    try {
      for (const [size, bodies] of [
        ['small', smallBodies(bench.bodies)],
        ['full', bench.bodies],
      ]) {
        const bodiesFile = join(bench.scratch, `bodies-${size}`)
        await writeFile(bodiesFile, bodies.join('\n'))
        const sized = { ...bench, bodies, bodiesFile }
        await measureSingle(size, sized, { server, parties }, result)
        await measureBulk(size, sized, { server, parties }, result)
      }
      return result
    } finally {
      await stopParties(parties)
    }
  },
}

async function measureSingle(size, bench, { server, parties }, result) {
  const { connections, rounds, seconds, warmup, operations } = bench.sizes
  for (const count of connections) {
    const options = { server, rounds, seconds, warmupSeconds: warmup, connections: count, operations, bench }
    const turns = await takeTurns({ parties, ...options })
    result.turns.push(...turns.map((turn) => ({ size, ...turn })))
    result.tables.push(turnRows(turns, parties, `${size}, ${count} connections`))
    result.values[`${size}${count}`] = ratioOf(turns, 'waybill', 'older')
  }
}

async function measureBulk(size, bench, { parties }, result) {
  const { lines, bulkConnections: connections, rounds, seconds, warmup, operations } = bench.sizes
  const turns = []
  const take = async (party, forSeconds, keyPrefix) => {
    const base = { party, connections, lines, operations, bodies: bench.bodies }
    const turn = await bulkLoop({ ...base, seconds: forSeconds, keyPrefix: `${size}-${keyPrefix}` })
    await party.settle()
    return turn
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const party of parties) {
      if (warmup > 0 && round === 1) await take(party, warmup, 'warm')
      const mark = await party.mark()
      const turn = await take(party, seconds, `round-${round}`)
      const recorded = await party.recordedSince(mark)
      // A status that is repeated leaves an event today, and did not always.
      if (party.name === 'waybill' && recorded !== turn.commands)
        throw new Error(`${turn.commands} reports were acknowledged, ${recorded} are in the log`)
      turns.push({ size, party: party.name, round, ...turn })
      bench.say(`${size} in bulk, round ${round} of ${rounds}, ${party.title}: ${Math.round(turn.perSecond)}/s`)
    }
  }
  result.turns.push(...turns)
  result.values[`${size}Bulk`] = ratioOf(turns, 'waybill', 'older')
}
