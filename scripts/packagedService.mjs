// `waybill serve` from an installed package, as a process of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'

const startMsMax = 120_000

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts the service, sends it a report, lets `use` work with it, and stops it, which must be in good order. */
export async function withService(place, node, use, settings = {}) {
  const service = start(place, node, settings)
  try {
    await expectWorks(await service.url, use)
  } finally {
    // Also when it failed: a service that is killed leaves its PostgreSQL running.
    service.child.kill('SIGTERM')
    await service.ended
  }
  const code = await service.ended
  if (code !== 0) throw new Error(`The service ended with ${code}: ${service.output()}`)
}

async function expectWorks(url, use) {
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'first' }
  const body = JSON.stringify({ pipeline: 'any', service: 'a', status: 'begun' })
  const report = fetch(`${url}/v1/operations/op-1/reports`, { method: 'POST', headers, body })
  const receipt = await (await expectStatus(201, report)).json()
  const operation = await expectStatus(200, fetch(`${url}/v1/operations/op-1?minPosition=${receipt.position}`))
  if ((await operation.json()).tracks.main.status !== 'begun') throw new Error('The report is not to be read')
  // The documents have packages of their own, loaded when somebody asks for one.
  for (const path of ['/openapi.json', '/docs/']) await expectStatus(200, fetch(url + path))
  await use(url)
}

/** What the service writes where it cannot start. */
export async function failedStart(place, node, settings) {
  const service = start(place, node, settings)
  const code = await service.ended
  if (code !== 1) throw new Error(`The service ended with ${code}: ${service.output()}`)
  return service.output()
}

async function expectStatus(status, response) {
  const answer = await response
  if (answer.status !== status) throw new Error(`${answer.url}: ${answer.status} ${await answer.text()}`)
  return answer
}

function start({ directory }, node, settings) {
  const defaults = { WAYBILL_PORT: '0', WAYBILL_DATA_DIR: join(directory, 'data') }
  const child = spawn(join(directory, 'node_modules/.bin/waybill'), ['serve'], {
    cwd: directory,
    env: environmentFor(node, { ...defaults, ...settings }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  const url = new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`The service did not start: ${output}`))
    const timer = setTimeout(fail, startMsMax)
    child.on('close', fail)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
        const [, address] = /listens on (http:\/\/\S+)/.exec(output) ?? []
        if (address === undefined) return
        clearTimeout(timer)
        resolve(address)
      })
    }
    child.on('close', () => clearTimeout(timer))
  })
  // A start that shall fail has no address.
  url.catch(() => undefined)
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    return code
  })
  return { child, url, ended, output: () => output }
}

/** What says where this machine has its things, and how it reaches the registry. */
const listed = /^(HOME|LANG|TMPDIR|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(https?|no)_proxy)$/i
/** What npm is told beside its files; not what it tells its scripts. */
const toldToNpm = /^npm_config_(?!local_prefix$)/i

/** A listed environment with another Node.js: no secret and no setting of this process reaches what is tried here. */
export function environmentFor(node, settings = {}, forNpm = false) {
  const kept = Object.entries(process.env).filter(([name]) => listed.test(name) || (forNpm && toldToNpm.test(name)))
  return { ...Object.fromEntries(kept), PATH: `${dirname(node)}${delimiter}${process.env.PATH}`, ...settings }
}
