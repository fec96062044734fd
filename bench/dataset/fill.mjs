// Many operations with the events of their lives, through the product's own command room, as a second node beside the
// service that projects them (over HTTP it takes three times as long). So many are alive at a time; each is opened, reported
// on in turn, and left. Eight of ten are in pipeline `any` and go on taking reports, whatever they say; one is a `letter`,
// which ends, and one a `parcel`, which has two tracks, is reported on in the second, and holds what comes too early. Their
// ids are in no order.
import { createCommandService } from '../../dist/commands/createCommandService.js'
import { migrateEventLog } from '../../dist/eventlog/postgres/migrateEventLog.js'
import { openPostgresEventLog } from '../../dist/eventlog/postgres/postgresEventLog.js'
import { requestHash } from '../../dist/operation/requestHash.js'

const aliveMax = 20_000
const commandsAtOnce = 4_000
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

const way = {
  initial: 'packed',
  transitions: { packed: ['sent'], sent: ['lost', 'there'], lost: ['sent'] },
  final: { there: 'succeeded' },
}

const parcel = { outOfOrder: 'hold', tracks: { main: way, post: way } }

/** How many of so many operations are named `bench-0`, `bench-1`, ... */
export function countInAny(operations) {
  return operations - 2 * Math.floor(operations / 10)
}

/**
 * @param {{ connectionString: string, party: object, operations: number, events: number, bodies: string[],
 *   say: (text: string) => void }} options `events`: in all, about; each operation gets as many
 */
export async function fill({ connectionString, party, operations, events, bodies, say }) {
  const { role } = await migrateEventLog(connectionString)
  const log = await openPostgresEventLog({ connectionString, role })
  const commands = createCommandService({ log, clock: Date.now })
  const rounds = Math.max(1, Math.round(events / operations) - 1)
  const total = operations * (rounds + 1)
  const reports = bodies.map((body) => JSON.parse(body))
  const progress = watchProgress(total, say)
  try {
    await definePipeline(commands, 'letter', letter)
    await definePipeline(commands, 'parcel', parcel)
    for (let from = 0; from < operations; from += aliveMax) {
      const indexes = Array.from({ length: Math.min(aliveMax, operations - from) }, (_, n) => from + n)
      for (let round = 0; round <= rounds; round += 1) {
        const commandOf = (index) =>
          round === 0 ? opening(index, operations) : report(index, { operations, round, rounds, reports })
        await submitAll(commands, indexes.map(commandOf))
        progress.add(indexes.length)
      }
    }
    const acknowledgedS = progress.seconds()
    say(`acknowledged in ${Math.round(acknowledgedS)} s, ${Math.round(total / acknowledgedS)}/s; now the projector`)
    await party.settle()
    return { events: total + 1, acknowledgedS, settledS: progress.seconds() }
  } finally {
    await commands.drain()
    await log.close()
  }
}

function watchProgress(total, say) {
  const startedMs = performance.now()
  const every = Math.min(1_000_000, total / 5)
  let [done, toldAt, toldMs] = [0, 0, startedMs]
  return {
    add(count) {
      done += count
      if (done - toldAt < every) return
      const nowMs = performance.now()
      const perSecond = Math.round((done - toldAt) / ((nowMs - toldMs) / 1_000))
      say(`${done} of ${total} events; the last ${done - toldAt} at ${perSecond}/s`)
      toldAt = done
      toldMs = nowMs
    },
    seconds: () => (performance.now() - startedMs) / 1_000,
  }
}

/** So many at once, as that many callers would. */
async function submitAll(commands, all) {
  let next = 0
  const caller = async () => {
    while (next < all.length) {
      const command = all[next]
      next += 1
      const answer = await commands.submit(command)
      if (answer.kind !== 'accepted') throw new Error(`${command.operation}: ${JSON.stringify(answer)}`)
    }
  }
  await Promise.all(Array.from({ length: commandsAtOnce }, caller))
}

/** `any`, `letter` or `parcel`. */
function pipelineOf(index) {
  return { 8: 'parcel', 9: 'letter' }[index % 10] ?? 'any'
}

function idOf(index, operations) {
  const tenth = Math.floor(index / 10)
  const pipeline = pipelineOf(index)
  if (pipeline !== 'any') return `${pipeline}-${(tenth * stride) % Math.floor(operations / 10)}`
  return `bench-${((tenth * 8 + (index % 10)) * stride) % countInAny(operations)}`
}

function command(operation, key, body) {
  return { operation, key, requestHash: requestHash(operation, undefined, body), actor: 'anonymous', body }
}

function opening(index, operations) {
  return command(idOf(index, operations), 'open', {
    type: 'OpenOperation',
    pipeline: pipelineOf(index),
    metadata: { tenant: `t${index % 20}`, batch: `b${Math.floor(index / 100)}` },
    ...(index % 3 === 0 ? { theme: index % 3_000 === 0 ? 'rare' : 'common' } : {}),
  })
}

function report(index, { operations, round, rounds, reports }) {
  const { service, data } = reports[(index + round * 7) % reports.length]
  const standing = standings[pipelineOf(index)](index, round, rounds)
  return command(idOf(index, operations), `k${round}`, { type: 'ReportStatus', service, ...standing, data })
}

const standings = {
  any: (...at) => ({ status: anyStatus(...at) }),
  letter: (...at) => ({ status: letterStatus(...at) }),
  parcel: (...at) => ({ track: 'post', status: parcelStatus(...at) }),
}

/** Half wait in their first status, half are on their way; one in a hundred is said to be there before it was sent: held. */
function parcelStatus(index, round, rounds) {
  const draw = Math.floor(index / 10) % 100
  if (round === rounds && draw === 99) return 'there'
  return round < rounds || draw < 50 ? 'packed' : 'sent'
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

async function definePipeline(commands, name, definition) {
  const { kind } = await commands.definePipeline({ name, definition, key: 'define', actor: 'anonymous' })
  if (kind !== 'defined') throw new Error(`the pipeline came back as ${kind}`)
}
