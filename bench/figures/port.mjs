// Appends without HTTP: one event an append, so many callers at once, each waiting for its own. Waybill's go through the
// port and the group commit that the product has before it; Emmett's through its appendToStream; EventStoreDB's likewise.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createDatabase } from '../parties/databases.mjs'
import { installEmmett } from '../parties/emmettPackage.mjs'
import { ratios, spread } from '../report/spread.mjs'

const worker = fileURLToPath(new URL('../parties/appendWorker.mjs', import.meta.url))

export const port = {
  name: 'port',
  title: 'through the port, no HTTP, one event an append',
  targets: [
    { id: 'emmett', what: "times Emmett's append", unit: '', reach: 10, aim: 20 },
    { id: 'rate', what: "Waybill's appends", unit: '/s' },
    { id: 'commands', what: 'the same, decided and chained as well', unit: '/s' },
    { id: 'eventStore', what: "Waybill's on EventStoreDB, times its raw client", unit: '' },
  ],
  sizes: { callers: 64, rounds: 5, seconds: 6, warmup: 3, emmettPool: 64 },
  smoke: { callers: 16, rounds: 1, seconds: 1, warmup: 1 },

  async run(bench) {
    const { callers, rounds, seconds, warmup, emmettPool } = bench.sizes
    const notRun = {}
    const parties = await partiesOf(bench, emmettPool, notRun)
    const workers = []
    try {
      for (const party of parties) workers.push({ ...party, ...startWorker(party) })
      await Promise.all(workers.map(({ ready }) => ready))
      const turns = []
      for (const { run } of workers) await run({ callers, seconds: warmup })
      for (let round = 1; round <= rounds; round += 1) {
        for (const { id, title, run } of workers) {
          const turn = await run({ callers, seconds })
          turns.push({ party: id, round, ...turn })
          bench.say(`round ${round} of ${rounds}, ${title}: ${Math.round(turn.perSecond)}/s`)
        }
      }
      for (const { title, close } of workers) {
        const { appended, count } = await close()
        if (count !== null && count !== appended)
          throw new Error(`${title}: ${appended} appended, ${count} in the store`)
      }
      return summary(turns, parties, notRun)
    } finally {
      for (const { child } of workers) child.kill()
    }
  },
}

async function partiesOf(bench, poolMax, notRun) {
  const server = await bench.server()
  const database = async (purpose) => ({ connectionString: await createDatabase(server, purpose) })
  const parties = [
    {
      id: 'waybill',
      title: 'Waybill, PostgreSQL',
      module: './appenders/waybillPostgres.mjs',
      ...(await database('port')),
    },
    {
      id: 'commands',
      title: 'Waybill, PostgreSQL, command room',
      module: './appenders/waybillCommands.mjs',
      ...(await database('room')),
    },
  ]
  const noEmmett = installEmmett()
  if (noEmmett === null) {
    const title = `Emmett, a pool of ${poolMax}`
    parties.push({ id: 'emmett', title, module: '../emmett/party.mjs', poolMax, ...(await database('emmett')) })
  } else notRun.emmett = noEmmett
  const eventStoreUrl = process.env.EVENTSTORE_URL
  if (eventStoreUrl === undefined || eventStoreUrl === '') {
    notRun.eventStore = 'EVENTSTORE_URL is not set'
    return parties
  }
  return [
    ...parties,
    { id: 'raw', title: 'EventStoreDB, raw client', module: './appenders/eventStoreRaw.mjs', eventStoreUrl },
    { id: 'adapter', title: 'Waybill, EventStoreDB', module: './appenders/waybillEventStore.mjs', eventStoreUrl },
  ]
}

function startWorker(party) {
  const child = fork(worker, [JSON.stringify(party)], { env: { ...process.env, NODE_ENV: 'production' } })
  const ended = new Promise((_, reject) => {
    child.on('exit', (code) => reject(new Error(`${party.title}: its process ended with ${code}`)))
  })
  ended.catch(() => undefined)
  const answer = async () => (await Promise.race([once(child, 'message'), ended]))[0]
  const ready = answer()
  ready.catch(() => undefined)
  const ask = (order) => {
    child.send(order)
    return answer()
  }
  return { child, ready, run: ask, close: () => ask('close') }
}

function summary(turns, parties, notRun) {
  const of = (party, member) => turns.filter((turn) => turn.party === party).map((turn) => turn[member])
  const has = (id) => parties.some((party) => party.id === id)
  const heading = ['party', 'appends/s', '(min - max)', 'p50 ms', 'p99 ms', 'us node']
  const rows = parties.map(({ id, title }) => {
    const { value, min, max } = spread(of(id, 'perSecond'))
    const middle = (member, digits) => spread(of(id, member)).value.toFixed(digits)
    const between = `(${Math.round(min)} - ${Math.round(max)})`
    return [title, Math.round(value), between, middle('p50Ms', 2), middle('p99Ms', 2), middle('nodeUs', 0)]
  })
  const rates = (id) => of(id, 'perSecond')
  return {
    values: {
      rate: spread(rates('waybill')),
      commands: spread(rates('commands')),
      ...(has('emmett') ? { emmett: ratios(rates('waybill'), rates('emmett')) } : {}),
      ...(has('raw') ? { eventStore: ratios(rates('adapter'), rates('raw')) } : {}),
    },
    notRun,
    tables: [[heading, ...rows]],
    turns,
  }
}
