// Many operations with the events of their lives, through the product itself: bulk requests. So many are alive at a time;
// each is opened, reported on in turn, and left. Nine of ten are in pipeline `any` and go on taking reports, whatever they
// say; the tenth is a `letter`, which ends. Their ids are in no order.
import { reportLine, sendCommands } from '../load/bulk.mjs'

const aliveMax = 20_000
const linesPerRequest = 500
const requestsAtOnce = 4
/** Prime, and no factor of any number of operations in use. */
const stride = 7_919
const letterStatuses = ['status 0', 'status 1', 'status 2', 'status 3']

const letter = {
  outOfOrder: 'reject',
  tracks: {
    main: {
      initial: letterStatuses[0],
      // Round and round, so that it takes any number of reports.
      transitions: Object.fromEntries(
        letterStatuses.map((status, n) => [status, [letterStatuses[(n + 1) % 4], 'done', 'broken']]),
      ),
      final: { done: 'succeeded', broken: 'failed' },
    },
  },
}

/** How many of so many operations are named `bench-0`, `bench-1`, ... */
export function countInAny(operations) {
  return operations - Math.floor(operations / 10)
}

/**
 * @param {{ party: object, operations: number, events: number, bodies: string[], say: (text: string) => void }} options
 *   `events`: in all, about; each operation gets as many
 */
export async function fill({ party, operations, events, bodies, say }) {
  await definePipeline(party)
  const rounds = Math.max(1, Math.round(events / operations) - 1)
  const total = operations * (rounds + 1)
  const rests = bodies.map((body) => body.slice(body.indexOf('"data":')))
  const startedMs = performance.now()
  let [done, toldAt, toldMs] = [0, 0, startedMs]
  for (let from = 0; from < operations; from += aliveMax) {
    const indexes = Array.from({ length: Math.min(aliveMax, operations - from) }, (_, n) => from + n)
    for (let round = 0; round <= rounds; round += 1) {
      const line = (index) =>
        round === 0 ? openLine(index, operations) : lineOfRound(index, { operations, round, rounds, rests })
      await sendAll(party, indexes, line)
      done += indexes.length
      if (done - toldAt < Math.min(1_000_000, total / 5)) continue
      const nowMs = performance.now()
      const perSecond = Math.round((done - toldAt) / ((nowMs - toldMs) / 1_000))
      say(`${done} of ${total} events; the last ${done - toldAt} at ${perSecond}/s`)
      toldAt = done
      toldMs = nowMs
    }
  }
  const acknowledgedS = (performance.now() - startedMs) / 1_000
  say(`acknowledged in ${Math.round(acknowledgedS)} s, ${Math.round(total / acknowledgedS)}/s; now the projector`)
  await party.settle()
  return { events: total + 1, acknowledgedS, settledS: (performance.now() - startedMs) / 1_000 }
}

async function sendAll(party, indexes, line) {
  let next = 0
  const sender = async () => {
    while (next < indexes.length) {
      const lines = indexes.slice(next, next + linesPerRequest).map(line)
      next += linesPerRequest
      await sendCommands(party.url, lines, party.access)
    }
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, sender))
}

function isLetter(index) {
  return index % 10 === 9
}

export function idOf(index, operations) {
  const tenth = Math.floor(index / 10)
  if (isLetter(index)) return `letter-${(tenth * stride) % Math.floor(operations / 10)}`
  return `bench-${((tenth * 9 + (index % 10)) * stride) % countInAny(operations)}`
}

function openLine(index, operations) {
  return JSON.stringify({
    type: 'OpenOperation',
    operation: idOf(index, operations),
    command: 'open',
    pipeline: isLetter(index) ? 'letter' : 'any',
    metadata: { tenant: `t${index % 20}`, batch: `b${Math.floor(index / 100)}` },
    ...(index % 3 === 0 ? { theme: index % 3_000 === 0 ? 'rare' : 'common' } : {}),
  })
}

function lineOfRound(index, { operations, round, rounds, rests }) {
  const status = isLetter(index) ? letterStatus(index, round, rounds) : anyStatus(index, round, rounds)
  const rest = rests[(index + round * 7) % rests.length]
  return reportLine(idOf(index, operations), `k${round}`, `{"service":"intake","status":"${status}",${rest}`)
}

/** At the end nearly all are done, a few went wrong, and a few are on their way. */
function letterStatus(index, round, rounds) {
  const draw = Math.floor(index / 10) % 100
  if (round < rounds || draw >= 97) return letterStatuses[round % 4]
  return draw >= 94 ? 'broken' : 'done'
}

function anyStatus(index, round, rounds) {
  if (round < rounds) return `status ${round % 7}`
  if (index % 1_000 === 0) return 'stuck'
  return index % 10 === 0 ? `status ${Math.floor(index / 10) % 7}` : 'done'
}

async function definePipeline({ url, access }) {
  const answer = await fetch(`${url}/v1/pipelines/letter`, {
    method: 'PUT',
    headers: { ...access, 'content-type': 'application/json' },
    body: JSON.stringify(letter),
  })
  if (!answer.ok) throw new Error(await answer.text())
}
