// node bench/waits.mjs (after npm run build): requests that wait for an operation (`until=changed`), each on a connection of
// its own. How much memory the service takes for them, and how soon all are answered once their operations change.
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createWaybillClient } from '../dist/client/client.js'
import { startOwnService } from './parties/ownService.mjs'

const { values } = parseArgs({
  options: {
    waits: { type: 'string', default: '10000' },
    operations: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
  },
})
const [count, operations, rounds] = [values.waits, values.operations, values.rounds].map(Number)
/** No more at once than a listening socket's backlog takes. */
const wave = 250

const service = await startOwnService({ WAYBILL_WAITS_MAX: `${count}` })
const client = createWaybillClient({ baseUrl: service.url })

async function metric(name) {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
}

async function until(what, isSo) {
  const deadline = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await delay(20)
  }
}

async function memoryMb() {
  const kb = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${service.pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kb) / 1024)
}

/** Settles with the answer, its head and as much of its body as came with it. */
function wait(operation, revision) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: service.port, host: '127.0.0.1' })
    socket.on('error', reject)
    socket.on('data', (bytes) => {
      resolve(bytes.toString('latin1'))
      socket.destroy()
    })
    socket.write(
      `GET /v1/operations/${operation}?until=changed HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\nIf-None-Match: "${revision}"\r\n\r\n`,
    )
  })
}

const ids = Array.from({ length: operations }, (_, n) => `wait-${n}`)
const reportAll = (status) =>
  Promise.all(ids.map((id) => client.report(id, { service: 'bench', status, pipeline: 'any', data: { status } })))

try {
  let revision = (await reportAll('first'))[0].revision
  process.stdout.write('waits   MB before   MB waiting   MB after 5 s   begun in s   all answered in s   MB after\n')
  for (let round = 1; round <= rounds; round += 1) {
    const before = await memoryMb()
    const began = performance.now()
    const answers = []
    while (answers.length < count) {
      const next = Math.min(count, answers.length + wave)
      while (answers.length < next) answers.push(wait(ids[answers.length % operations], revision))
      await until('waits', async () => (await metric('waybill_operation_waits')) === answers.length)
    }
    const begunS = (performance.now() - began) / 1_000
    const waiting = await memoryMb()
    await delay(5_000)
    const later = await memoryMb()
    const changed = performance.now()
    revision = (await reportAll(`round ${round}`))[0].revision
    const wrong = (await Promise.all(answers)).filter(
      (answer) => !answer.startsWith('HTTP/1.1 200 ') || !answer.includes(`\r\netag: "${revision}"\r\n`),
    )
    if (wrong.length > 0) throw new Error(`${wrong.length} wrong answers, such as ${wrong[0]}`)
    const answeredS = (performance.now() - changed) / 1_000
    await until('no waits', async () => (await metric('waybill_operation_waits')) === 0)
    const row = [before, waiting, later, begunS.toFixed(1), answeredS.toFixed(1), await memoryMb()]
    process.stdout.write(`${count}   ${row.join('   ')}\n`)
  }
} finally {
  await client.close()
  await service.stop()
}
