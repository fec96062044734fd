// A million operations with ten million events, beside a Waybill that is empty but for its hot set: reports, reads,
// start-up, and what an event takes on disk.
import { openDataset } from '../dataset/dataset.mjs'
import { logBytes } from '../dataset/logBytes.mjs'
import { reportOnEach } from '../load/bulk.mjs'
import { openLoop } from '../load/openLoop.mjs'
import { readRequest, stride } from '../load/reads.mjs'
import { ratioOf, takeTurns, turnRows } from '../load/turns.mjs'
import { startParty } from '../parties/parties.mjs'
import { startProcess } from '../parties/process.mjs'
import { number } from '../report/print.mjs'
import { ratios, spread } from '../report/spread.mjs'

export const size = {
  name: 'size',
  title: '1,000,000 operations and 10,000,000 events against empty',
  needsDataset: true,
  targets: [
    { id: 'hot', what: 'reports on a hot set of 20,000: share of empty', unit: '', reach: 0.85, aim: 0.95 },
    { id: 'cold', what: 'reports all over, cold: share of empty', unit: '', reach: 0.45, aim: 0.6 },
    { id: 'read', what: 'one by id, p99: times that of empty', unit: '', less: true, reach: 1.5, aim: 1.2 },
    { id: 'startUp', what: 'start-up to ready, embedded PostgreSQL included', unit: 's', less: true, reach: 3, aim: 1 },
    { id: 'startUpAlone', what: 'the same, PostgreSQL running', unit: 's', less: true },
    {
      id: 'bytes',
      what: 'log on disk beyond data and metadata',
      unit: ' bytes an event',
      less: true,
      reach: 260,
      aim: 200,
    },
  ],
  sizes: {
    manyOperations: 1_000_000,
    events: 10_000_000,
    hotSet: 20_000,
    connections: 64,
    rounds: 5,
    seconds: 6,
    warmup: 4,
    readPace: 500,
    starts: 5,
  },
  smoke: {
    manyOperations: 2_000,
    events: 6_000,
    hotSet: 200,
    rounds: 1,
    seconds: 1,
    warmup: 0,
    readPace: 100,
    starts: 1,
  },

  async run(bench) {
    const { manyOperations: operations, events } = bench.sizes
    const dataset = await openDataset(bench, { operations, events })
    const result = { values: {}, tables: [], notes: [], turns: {} }
    try {
      const { info } = dataset
      result.notes.push(
        `${info.operations} operations, ${info.events} events; filling took ${Math.round(info.acknowledgedS)} s ` +
          `(${Math.round(info.events / info.acknowledgedS)}/s), the read model was there after ${Math.round(info.settledS)} s.`,
      )
      await disk(bench, dataset, result)
      await startUps(bench, dataset, result)
      await besideEmpty(bench, dataset, result)
      return result
    } catch (error) {
      // What was measured before it is worth hours.
      throw Object.assign(error, { result })
    } finally {
      await dataset.close()
    }
  },
}

async function disk(bench, { party }, result) {
  const { bytesPerEvent, payloadBytes, table } = await logBytes(party.client)
  result.values.bytes = { value: bytesPerEvent - payloadBytes }
  result.tables.push(table)
  bench.say(`an event takes ${Math.round(bytesPerEvent)} bytes, ${Math.round(payloadBytes)} of them data and metadata`)
}

/** A service by itself, as the product starts: with its server, and with one that is there. */
async function startUps(bench, dataset, result) {
  const [whole, alone] = [[], []]
  const { memory } = bench.common
  for (let n = 0; n < bench.sizes.starts; n += 1) {
    await dataset.close()
    const environment = { WAYBILL_DATA_DIR: dataset.dataDir, DATABASE_URL: undefined, EVENTSTORE_URL: undefined }
    const service = await startProcess({ script: '../../dist/main.js', environment, memory })
    whole.push(service.readyMs / 1_000)
    await service.stop()
    await dataset.open()
    alone.push(dataset.party.readyMs / 1_000)
    bench.say(`ready after ${whole.at(-1).toFixed(2)} s, without its server after ${alone.at(-1).toFixed(2)} s`)
  }
  result.values.startUp = spread(whole)
  result.values.startUpAlone = spread(alone)
  result.turns.startUp = { whole, alone }
}

async function besideEmpty(bench, { server, party, info }, result) {
  const { hotSet, connections, rounds, seconds, warmup } = bench.sizes
  const small = await startParty('waybill', { server, operations: hotSet, ...bench.common })
  try {
    // A hot set is one whose operations were all reported on a while ago.
    for (const running of [small, party]) {
      await reportOnEach(running, hotSet, bench.bodies)
      await running.settle()
    }
    const as = (running, name, title, operations) =>
      Object.assign(Object.create(running), { name, title, operations, stride })
    const parties = [
      as(small, 'empty', 'empty', hotSet),
      as(party, 'hot', 'full, hot set', hotSet),
      as(party, 'cold', 'full, all over', info.inAny),
    ]
    const turns = await takeTurns({ parties, server, rounds, seconds, warmupSeconds: warmup, connections, bench })
    result.values.hot = ratioOf(turns, 'hot', 'empty')
    result.values.cold = ratioOf(turns, 'cold', 'empty')
    result.tables.push(turnRows(turns, parties, `${connections} connections`))
    result.turns.reports = turns
    // What was in memory is read from the tables again: by both.
    await Promise.all([small.restart(), party.restart()])
    await readsBeside(bench, [parties[0], parties[2]], result)
  } finally {
    await small.stop()
  }
}

async function readsBeside(bench, parties, result) {
  const { rounds, seconds, warmup, readPace } = bench.sizes
  const times = { empty: [], cold: [] }
  for (let round = 1; round <= rounds; round += 1) {
    for (const { name, port, operations, apiKey } of parties) {
      const { answered } = await openLoop({
        port,
        perSecond: readPace,
        seconds,
        warmupSeconds: warmup,
        request: readRequest({ operations, apiKey, from: round * 1_000_003 }),
      })
      times[name].push(answered)
      bench.say(`${readPace} reads/s, round ${round} of ${rounds}, ${name}: p99 ${number(answered.p99Ms)} ms`)
    }
  }
  const of = (name, member) => times[name].map((turn) => turn[member])
  result.values.read = ratios(of('cold', 'p99Ms'), of('empty', 'p99Ms'))
  const row = (name) => [name, ...['p50Ms', 'p99Ms', 'maxMs'].map((member) => number(spread(of(name, member)).value))]
  result.tables.push([
    [`${readPace} reads/s, by id`, 'p50 ms', 'p99 ms', 'max ms'],
    row('empty'),
    ['full', ...row('cold').slice(1)],
  ])
  result.turns.reads = times
}
