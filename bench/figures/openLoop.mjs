// Reports at a steady pace, as services send them: how soon they are acknowledged, and how soon a query shows them.
import { load } from '../load/closedLoop.mjs'
import { openLoop as runOpenLoop } from '../load/openLoop.mjs'
import { requestText } from '../load/sockets.mjs'
import { startParty } from '../parties/parties.mjs'
import { number } from '../report/print.mjs'
import { spread } from '../report/spread.mjs'

/** One of so many reports is looked for. */
const sampleEvery = 25
const closedConnections = 64

export const openLoop = {
  name: 'openLoop',
  title: '5,000 reports/s, open loop, from when each was due',
  targets: [
    { id: 'acknowledged', what: 'acknowledged, p99', unit: 'ms', less: true, reach: 15, aim: 8 },
    { id: 'visible', what: 'visible in a query, p99', unit: 'ms', less: true, reach: 50, aim: 25 },
    { id: 'acknowledgedP50', what: 'acknowledged, p50', unit: 'ms', less: true },
    { id: 'visibleP50', what: 'visible in a query, p50', unit: 'ms', less: true },
    {
      id: 'halfAcknowledged',
      what: 'at half of what the closed loop takes: acknowledged, p99',
      unit: 'ms',
      less: true,
    },
    { id: 'halfVisible', what: 'the same: visible in a query, p99', unit: 'ms', less: true },
  ],
  sizes: { pace: 5_000, rounds: 3, seconds: 15, warmup: 5, operations: 10_000 },
  smoke: { pace: 200, rounds: 1, seconds: 1, warmup: 0, operations: 1_000 },

  async run(bench) {
    const { pace, rounds, seconds, warmup, operations } = bench.sizes
    const party = await startParty('waybill', { server: await bench.server(), operations, ...bench.common })
    try {
      const closed = await closedLoop(party, bench)
      const half = Math.round(closed.perSecond / 2)
      bench.say(`closed loop, ${closedConnections} connections: ${Math.round(closed.perSecond)}/s`)
      const turns = []
      const turn = async (perSecond, round) => {
        const taken = await takeTurn(party, {
          bench,
          perSecond,
          seconds,
          warmup,
          operations,
          name: `${perSecond}-${round}`,
        })
        turns.push({ offered: perSecond, round, ...taken })
        bench.say(
          `${perSecond}/s: ${Math.round(taken.perSecond)}/s in time; acknowledged p99 ${number(taken.answered.p99Ms)} ms, ` +
            `visible p99 ${number(taken.followedUp.p99Ms)} ms`,
        )
      }
      await turn(pace, 1)
      const kept = turns[0].answered.p90Ms < 1_000
      // Beyond what the machine can do, latencies only say how long it was tried; and what stood in line leaves its traces.
      if (!kept) await party.restart()
      if (!kept) await turn(half, 1)
      for (let round = 2; round <= rounds; round += 1) await turn(kept ? pace : half, round)
      return summary(turns, pace, half)
    } finally {
      await party.stop()
    }
  },
}

function closedLoop({ port, apiKey }, { loader, bodies, bodiesFile, sizes }) {
  const { operations, seconds } = sizes
  return load({
    ...{ loader, bodies, bodiesFile, port, apiKey, operations },
    connections: closedConnections,
    seconds: Math.min(5, seconds),
    keyPrefix: 'closed',
  })
}

async function takeTurn(party, { bench, perSecond, seconds, warmup, operations, name }) {
  const access = party.apiKey === null ? '' : `authorization: Bearer ${party.apiKey}\r\n`
  const jsonHeaders = `${access}content-type: application/json\r\n`
  const mark = await party.mark()
  const taken = await runOpenLoop({
    port: party.port,
    perSecond,
    seconds,
    warmupSeconds: warmup,
    request: (n) =>
      requestText(
        'POST',
        `/v1/operations/bench-${(n * 7_919) % operations}/reports`,
        `${jsonHeaders}idempotency-key: open-${name}-${n}\r\n`,
        bench.bodies[n % bench.bodies.length],
      ),
    followUp: (n, answer) => {
      if (n % sampleEvery !== 0) return null
      const { operation, position } = JSON.parse(answer.toString('utf8'))
      const minPosition = encodeURIComponent(position)
      const path = `/v1/operations?idPrefix=${operation}&pipeline=any&pageSize=1&minPosition=${minPosition}`
      return requestText('GET', path, `${access}prefer: wait=60\r\n`)
    },
  })
  const recorded = await party.recordedSince(mark)
  // Of the closed loop, some may have been under way when it was cut off.
  if (recorded < taken.accepted || recorded > taken.accepted + closedConnections) {
    throw new Error(`${taken.accepted} reports were acknowledged, ${recorded} are in the log`)
  }
  await party.settle()
  return taken
}

function summary(turns, pace, half) {
  const of = (offered, part, member) =>
    spread(turns.filter((turn) => turn.offered === offered).map((turn) => turn[part][member]))
  const paces = [...new Set(turns.map(({ offered }) => offered))]
  const heading = [
    'offered/s',
    'in time/s',
    'acknowledged p50',
    'p99',
    'p99.9',
    'max',
    'visible p50',
    'p99',
    'max',
    'refused',
    'sent late p99 (ms)',
  ]
  const rows = paces.map((offered) => {
    const inTime = spread(turns.filter((turn) => turn.offered === offered).map(({ perSecond }) => perSecond)).value
    const ms = (part, member) => number(of(offered, part, member).value)
    const acknowledged = ['p50Ms', 'p99Ms', 'p999Ms', 'maxMs'].map((member) => ms('answered', member))
    const visible = ['p50Ms', 'p99Ms', 'maxMs'].map((member) => ms('followedUp', member))
    const refused = ['answered', 'followedUp'].map((part) => ms(part, 'refused')).join(' + ')
    return [offered, Math.round(inTime), ...acknowledged, ...visible, refused, ms('sentLate', 'p99Ms')]
  })
  return {
    values: {
      acknowledged: of(pace, 'answered', 'p99Ms'),
      visible: of(pace, 'followedUp', 'p99Ms'),
      acknowledgedP50: of(pace, 'answered', 'p50Ms'),
      visibleP50: of(pace, 'followedUp', 'p50Ms'),
      ...(paces.includes(half)
        ? { halfAcknowledged: of(half, 'answered', 'p99Ms'), halfVisible: of(half, 'followedUp', 'p99Ms') }
        : {}),
    },
    notRun: { halfAcknowledged: 'the pace was kept', halfVisible: 'the pace was kept' },
    tables: [[heading, ...rows]],
    notes: [
      `Visible: in a list with two filters, asked with the report's position as soon as the report was answered; of each ${sampleEvery}th.`,
      ...(paces.includes(half)
        ? [`${pace}/s is beyond this machine: ${half}/s is half of what its closed loop reached.`]
        : []),
    ],
    turns,
  }
}
