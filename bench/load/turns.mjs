// Turns of closed load, party by party: A B C A B C, so that the machine's drift over minutes falls on all.
import { processorUs, processorUsOfTree } from '../report/processorTime.mjs'
import { ratios, spread } from '../report/spread.mjs'
import { load } from './closedLoop.mjs'

let turnsTaken = 0

/**
 * @param {{ parties: object[], server: object, rounds: number, seconds: number, warmupSeconds: number, connections: number,
 *   operations: number, bench: object }} options a party may have `operations` of its own, and a `stride`
 * @returns turns in the order they were taken
 */
export async function takeTurns({ parties, rounds, ...options }) {
  const turns = []
  for (let round = 1; round <= rounds; round += 1) {
    for (const party of parties) {
      const turn = await takeTurn(party, options)
      turns.push({ round, ...turn })
      options.bench.say(
        `${options.connections} connections, round ${round} of ${rounds}, ${party.title}: ${Math.round(turn.perSecond)}/s`,
      )
    }
  }
  return turns
}

/** Each load begins elsewhere, so that no turn finds warm what the one before has warmed. */
const firstOf = () => Math.floor(Math.random() * 1e9)

/** Warm-up, which does not count; the measured part; then the time it takes until all is in the read model as well. */
async function takeTurn(party, { server, connections, seconds, warmupSeconds, bench, ...options }) {
  turnsTaken += 1
  const { operations = options.operations, stride = 1 } = party
  const keyPrefix = `${party.name}-${turnsTaken}`
  const { loader, bodies, bodiesFile } = bench
  const base = { loader, bodies, bodiesFile, port: party.port, connections, operations, stride, apiKey: party.apiKey }
  if (warmupSeconds > 0)
    await load({ ...base, first: firstOf(), seconds: warmupSeconds, keyPrefix: `${keyPrefix}-warm` })
  await party.settle()
  const before = { node: await processorUs(party.pid), postgres: await processorUsOfTree(server.pid) }
  const mark = await party.mark()
  const result = await load({ ...base, first: firstOf(), seconds, keyPrefix })
  const acknowledgedMs = performance.now()
  await party.settle()
  const behindMs = performance.now() - acknowledgedMs
  const after = { node: await processorUs(party.pid), postgres: await processorUsOfTree(server.pid) }
  if (mark !== null) checkRecorded(party, await party.recordedSince(mark), result.requests, connections)
  const each = (member) => (after[member] === null ? null : (after[member] - before[member]) / result.requests)
  return {
    party: party.name,
    connections,
    ...result,
    behindMs,
    nodeUs: each('node'),
    postgresUs: mark === null ? null : each('postgres'),
  }
}

/**
 * No figure counts unless the store holds each acknowledged report. It may hold those too that were under way, one a
 * connection, when the load was cut off: at the end of the warm-up and of the measured part.
 */
function checkRecorded(party, recorded, acknowledged, connections) {
  // A build of before may leave no event of a status that is repeated.
  const fewest = party.name === 'older' ? 0.98 * acknowledged : acknowledged
  if (recorded < fewest || recorded > acknowledged + 2 * connections) {
    throw new Error(`${party.title}: ${acknowledged} reports were acknowledged, ${recorded} are in the store`)
  }
}

const own = (turns, party) => turns.filter((turn) => turn.party === party)

/** What `party` takes, as a multiple of what `base` takes in the same round. */
export function ratioOf(turns, party, base) {
  const rates = (name) => own(turns, name).map(({ perSecond }) => perSecond)
  return ratios(rates(party), rates(base))
}

/** Rows of a table, a party each: medians over its turns. */
export function turnRows(turns, parties, condition) {
  const heading = [
    condition,
    'party',
    'reports/s',
    '(min - max)',
    'p50 ms',
    'p99 ms',
    'us node',
    'us PostgreSQL',
    'read after ms',
  ]
  const rows = parties.map(({ name, title }) => {
    const taken = own(turns, name)
    const rate = spread(taken.map(({ perSecond }) => perSecond))
    const of = (member, digits) =>
      taken.some((turn) => turn[member] === null)
        ? '-'
        : spread(taken.map((turn) => turn[member])).value.toFixed(digits)
    const between = `(${Math.round(rate.min)} - ${Math.round(rate.max)})`
    const readAfter = name === 'waybill' || name === 'older' ? of('behindMs', 0) : '-'
    return [
      '',
      title,
      Math.round(rate.value),
      between,
      of('p50Ms', 1),
      of('p99Ms', 1),
      of('nodeUs', 0),
      of('postgresUs', 0),
      readAfter,
    ]
  })
  return [heading, ...rows]
}
