// node bench/client.mjs (after npm run build): what the TypeScript client gets through, in batches and one by one. Each
// caller reports, waits for the receipt, and reports again; the turns of the parties are interleaved.
import { randomBytes, randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { createWaybillClient } from '../dist/client/client.js'
import { accessHeader } from './load/access.mjs'
import { reportBodies } from './load/payloads.mjs'
import { startOwnService } from './parties/ownService.mjs'
import { median } from './report/spread.mjs'

const { values } = parseArgs({
  options: {
    callers: { type: 'string', default: '1,16,64,256,1024' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    parties: { type: 'string', default: 'fetch,http,single,batched' },
    'with-key': { type: 'boolean', default: false },
  },
})
const operations = 2_000
const apiKey = values['with-key'] ? randomBytes(32).toString('hex') : null
const access = accessHeader(apiKey)
const keyOption = apiKey === null ? {} : { apiKey }
const reports = (await reportBodies()).map((body) => JSON.parse(body))

const parties = {
  /** What one writes by hand: node:http, a request each, connections kept alive. */
  http: (url) => {
    const agent = new Agent({ keepAlive: true })
    const report = (operation, body) =>
      new Promise((resolve, reject) => {
        const headers = { ...access, 'content-type': 'application/json', 'idempotency-key': randomUUID() }
        const sent = request(
          `${url}/v1/operations/${operation}/reports`,
          { agent, method: 'POST', headers },
          (answer) => {
            let text = ''
            answer.setEncoding('utf8').on('data', (chunk) => {
              text += chunk
            })
            answer.on('end', () => (answer.statusCode < 300 ? resolve(JSON.parse(text)) : reject(new Error(text))))
          },
        )
        sent.on('error', reject)
        sent.end(JSON.stringify(body))
      })
    return { report, close: async () => agent.destroy() }
  },
  fetch: (url) => ({
    report: async (operation, body) => {
      const answer = await fetch(`${url}/v1/operations/${operation}/reports`, {
        method: 'POST',
        headers: { ...access, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
        body: JSON.stringify(body),
      })
      if (!answer.ok) throw new Error(await answer.text())
      return answer.json()
    },
    close: async () => {},
  }),
  single: (url) => createWaybillClient({ ...keyOption, baseUrl: url, batching: false, requestsMax: 2_000 }),
  /** `batched/250/4`: at most 250 commands in a request, at most 4 requests at once. */
  batched: (url, linesMax = '500', requestsMax = '2') =>
    createWaybillClient({
      ...keyOption,
      baseUrl: url,
      batching: { linesMax: Number(linesMax) },
      requestsMax: Number(requestsMax),
    }),
}

async function measure(party, url, callers, seconds) {
  const [name, ...settings] = party.split('/')
  const client = parties[name](url, ...settings)
  let count = 0
  let over = false
  const times = []
  const call = async (n) => {
    for (let turn = 0; !over; turn += 1) {
      const began = performance.now()
      const operation = `bench-${(n * 7_919 + turn * callers) % operations}`
      await client.report(operation, { ...reports[(n + turn) % reports.length], pipeline: 'any' })
      times.push(performance.now() - began)
      count += 1
    }
  }
  const working = Array.from({ length: callers }, (_, n) => call(n))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const before = count
  times.length = 0
  const processor = process.cpuUsage()
  const began = performance.now()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  const rate = (count - before) / ((performance.now() - began) / 1_000)
  const { user, system } = process.cpuUsage(processor)
  const own = (user + system) / Math.max(1, count - before)
  const sorted = [...times].sort((one, other) => one - other)
  over = true
  await Promise.all(working)
  await client.close()
  return { rate, own, p50: sorted[sorted.length >> 1] ?? 0, p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0 }
}

const service = await startOwnService({ WAYBILL_OPERATOR_KEY: apiKey ?? undefined })
try {
  const names = values.parties.split(',')
  console.log('callers  party             reports/s   p50 ms   p99 ms   client us/report')
  for (const callers of values.callers.split(',').map(Number)) {
    const turns = Object.fromEntries(names.map((name) => [name, []]))
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const name of names) turns[name].push(await measure(name, service.url, callers, Number(values.seconds)))
    }
    for (const name of names) {
      const of = (member, digits) => median(turns[name].map((turn) => turn[member])).toFixed(digits)
      console.log(
        `${`${callers}`.padStart(7)}  ${name.padEnd(16)} ${of('rate', 0).padStart(10)} ${of('p50', 1).padStart(8)} ` +
          `${of('p99', 1).padStart(8)} ${of('own', 0).padStart(18)}`,
      )
    }
  }
} finally {
  await service.stop()
}
