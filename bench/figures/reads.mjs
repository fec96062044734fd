// Reads at a million operations: one by its id, beside a bare route with an answer of the same size, and lists of 50.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openDataset } from '../dataset/dataset.mjs'
import { listPath, listQuestions } from '../dataset/questions.mjs'
import { reportOnEach } from '../load/bulk.mjs'
import { loadReads } from '../load/closedLoop.mjs'
import { openSockets, requestText } from '../load/sockets.mjs'
import { startParty } from '../parties/parties.mjs'
import { number } from '../report/print.mjs'
import { percentile, ratios, spread } from '../report/spread.mjs'

export const reads = {
  name: 'reads',
  title: 'reads at 1,000,000 operations',
  needsDataset: true,
  targets: [
    {
      id: 'recent',
      what: 'one by id, of 10,000 just reported on: share of a bare GET',
      unit: '',
      reach: 0.4,
      aim: 0.6,
    },
    { id: 'any', what: 'one by id, of all: share of a bare GET', unit: '', reach: 0.4, aim: 0.6 },
    { id: 'list', what: 'list of 50 with two filters, p99 over all kinds', unit: 'ms', less: true, reach: 30, aim: 15 },
    { id: 'worst', what: 'the same, of the slowest kind', unit: 'ms', less: true, reach: 30, aim: 15 },
  ],
  sizes: {
    manyOperations: 1_000_000,
    readEvents: 2_000_000,
    readConnections: 64,
    rounds: 5,
    seconds: 6,
    warmup: 3,
    lists: 100,
  },
  smoke: { manyOperations: 2_000, readEvents: 6_000, rounds: 1, seconds: 1, warmup: 0, lists: 3 },

  async run(bench) {
    const { manyOperations: operations, readEvents: events } = bench.sizes
    const dataset = await openDataset(bench, { operations, events })
    try {
      const { party, info } = dataset
      const byId = await readById(bench, party, info)
      const lists = await readLists(bench, party, info)
      return {
        ...byId,
        ...lists,
        values: { ...byId.values, ...lists.values },
        tables: [...byId.tables, ...lists.tables],
      }
    } finally {
      await dataset.close()
    }
  },
}

async function readById(bench, party, info) {
  const { readConnections: connections, rounds, seconds, warmup } = bench.sizes
  const recent = Math.min(10_000, info.inAny)
  // Those that this node has in memory: what services ask for is what was just reported.
  await reportOnEach(party, recent, bench.mixed)
  await party.settle()
  const bare = await startParty('bare', { server: await bench.server(), operations: 0, ...bench.common })
  try {
    const sample = await (await fetch(`${party.url}/v1/operations/bench-0`, { headers: party.access })).json()
    await fetch(`${bare.url}/answer`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(sample),
    })
    const kinds = [
      { id: 'bare', title: 'bare Fastify route', of: bare, operations: recent },
      { id: 'recent', title: `Waybill, ${recent} just reported on`, of: party, operations: recent },
      { id: 'any', title: `Waybill, all ${info.inAny}`, of: party, operations: info.inAny },
    ]
    for (const kind of kinds) kind.pathsFile = await writePaths(bench.scratch, kind)
    const turns = []
    for (let round = 1; round <= rounds; round += 1) {
      for (const { id, title, of, pathsFile } of kinds) {
        const base = { loader: bench.loader, port: of.port, connections, pathsFile, apiKey: of.apiKey }
        if (warmup > 0) await loadReads({ ...base, seconds: warmup })
        const turn = await loadReads({ ...base, seconds })
        turns.push({ kind: id, round, ...turn })
        bench.say(`round ${round} of ${rounds}, ${title}: ${Math.round(turn.perSecond)}/s`)
      }
    }
    const of = (id, member) => turns.filter(({ kind }) => kind === id).map((turn) => turn[member])
    const rate = (id) => of(id, 'perSecond')
    const middle = (id, member) => number(spread(of(id, member)).value)
    const rows = kinds.map(({ id, title }) => [
      title,
      ...['perSecond', 'p50Ms', 'p99Ms'].map((each) => middle(id, each)),
    ])
    return {
      values: { recent: ratios(rate('recent'), rate('bare')), any: ratios(rate('any'), rate('bare')) },
      tables: [[['one by id', 'reads/s', 'p50 ms', 'p99 ms'], ...rows]],
      turns,
    }
  } finally {
    await bare.stop()
  }
}

/** In no order; of very many a part. */
async function writePaths(scratch, { id, operations }) {
  const count = Math.min(operations, 200_000)
  const step = Math.max(1, Math.floor(operations / count))
  const paths = Array.from({ length: count }, (_, n) => `/v1/operations/bench-${(n * 7_919 * step) % operations}`)
  const file = join(scratch, `paths-${id}`)
  await writeFile(file, paths.join('\n'))
  return file
}

/** One at a time, the kinds in turn. */
async function readLists(bench, party, info) {
  const sockets = openSockets(party.port, 1)
  const access = party.apiKey === null ? '' : `authorization: Bearer ${party.apiKey}\r\n`
  const questions = Object.entries(listQuestions(info)).map(([name, question]) => {
    return { name, request: requestText('GET', listPath(question), access), times: [], found: 0 }
  })
  // The first round does not count.
  for (let round = 0; round <= bench.sizes.lists; round += 1) {
    for (const question of questions) {
      const startedMs = performance.now()
      const answer = await sockets.send(question.request)
      if (round > 0) question.times.push(performance.now() - startedMs)
      else question.found = JSON.parse(answer.toString('utf8')).operations.length
    }
  }
  sockets.close()
  const rows = questions.map(({ name, times, found }) => {
    return [name, found, ...[0.5, 0.99, 1].map((share) => number(percentile(times, share)))]
  })
  const all = questions.flatMap(({ times }) => times)
  return {
    values: {
      list: { value: percentile(all, 0.99) },
      worst: { value: Math.max(...questions.map(({ times }) => percentile(times, 0.99))) },
    },
    tables: [[['list of 50', 'found', 'p50 ms', 'p99 ms', 'max ms'], ...rows]],
  }
}
