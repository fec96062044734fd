// nginx and HAProxy with the files of docs/security, in front of a real service, over TLS on loopback: each thing that
// docs/security.md says of them is tried out.
//   npm run test:proxy               all of it, some four minutes
//   npm run test:proxy -- --short    without what takes minutes by its nature: waits, silence, slow uploads
// It needs nginx, haproxy and openssl. Run by root on Debian or Ubuntu it installs what is missing; otherwise that is a failure.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificates, startProxies, startService } from './proxies/programs.mjs'
import {
  logsHoldNoKey,
  ofBulkUploads,
  ofEachProtocol,
  ofEachProxy,
  ofLongRequests,
  ofLongUploads,
  ofNoBulkUploads,
} from './proxies/promises.mjs'
import { clientOf } from './proxies/requests.mjs'

const protocols = ['HTTP/1.1', 'HTTP/2']
let kept = 0
const broken = []

const isThere = (program) => spawnSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' }).status === 0

/** Why it cannot be run here; null when it can. */
function lacking() {
  const programs = { nginx: 'nginx-light', haproxy: 'haproxy', openssl: 'openssl' }
  const missing = () => Object.keys(programs).filter((program) => !isThere(program))
  if (missing().length === 0) return null
  if (process.getuid?.() === 0 && isThere('apt-get')) {
    const packages = missing().map((program) => programs[program])
    process.stdout.write(`Installing ${packages.join(' ')}\n`)
    // Installed, and not started: they listen nowhere but where this run has them.
    const install = `apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends ${packages.join(' ')}`
    spawnSync('timeout', ['300', 'sh', '-c', install], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const still = missing()
  if (still.length === 0) return null
  return `There is no ${still.join(', no ')} here. Install ${still.map((program) => programs[program]).join(' ')}, or run this as root on Debian or Ubuntu.`
}

async function hold(where, [sentence, promise], context) {
  try {
    await promise(context)
    kept += 1
    process.stdout.write(`  ok: ${where}: ${sentence}\n`)
  } catch (error) {
    broken.push(`${where}: ${sentence}: ${error instanceof Error ? error.message : error}`)
    process.stdout.write(`  BROKEN: ${broken.at(-1)}\n`)
  }
}

async function holdProtocol(proxy, protocol, context, short) {
  const client = clientOf(proxy.port, context.authority, protocol)
  const keyless = clientOf(proxy.keylessPort, context.authority, protocol)
  const where = `${proxy.name}, ${protocol}`
  const all = { ...context, ...proxy, client, keyless }
  // One after the other: they look at the same gauges.
  const ofUploads = proxy.passesUploads ? ofBulkUploads : ofNoBulkUploads
  for (const promise of [...ofEachProtocol, ...ofUploads]) await hold(where, promise, all)
  client.close()
  keyless.close()
  if (short) return []
  return [{ where, all }]
}

async function holdLong({ where, all }, protocol) {
  await Promise.all(
    [...ofLongRequests, ...(all.passesUploads ? ofLongUploads : [])].map(async (promise) => {
      const client = clientOf(all.port, all.authority, protocol)
      await hold(where, promise, { ...all, client })
      client.close()
    }),
  )
}

async function run(folder, stops, short) {
  const certificates = makeCertificates(folder)
  const { authority } = certificates
  const key = randomBytes(32).toString('hex')
  // Waits that do not end by themselves while a client's leaving is looked for; a clock for bodies that is worth waiting for.
  const settings = { WAYBILL_OPERATOR_KEY: key, WAYBILL_WAIT_S_MAX: '600', WAYBILL_BODY_MS_MAX: '5000' }
  const services = { withKey: await startService(folder, 'service', settings) }
  stops.push(services.withKey.stop)
  services.without = await startService(folder, 'keyless', {})
  stops.push(services.without.stop)
  const proxies = await startProxies(folder, { label: 'service', certificates, authority, service: services.withKey })
  for (const { stop } of proxies) stops.push(stop)
  const toKeyless = await startProxies(folder, { label: 'keyless', certificates, authority, service: services.without })
  for (const { stop } of toKeyless) stops.push(stop)

  const context = { service: services.withKey, key, authority }
  for (const [index, proxy] of proxies.entries()) {
    proxy.keylessPort = toKeyless[index].port
    for (const promise of ofEachProxy) await hold(proxy.name, promise, { ...context, ...proxy })
    for (const protocol of protocols)
      proxy.long = [...(proxy.long ?? []), ...(await holdProtocol(proxy, protocol, context, short))]
  }
  const long = proxies.flatMap((proxy) => proxy.long.map((entry, index) => holdLong(entry, protocols[index])))
  await Promise.all(long)
  for (const proxy of proxies) {
    const promise = ['no key and no query is in its logs', logsHoldNoKey]
    await hold(proxy.name, promise, { ...context, ...proxy })
  }
}

async function main() {
  const reason = lacking()
  if (reason !== null) {
    process.stderr.write(`NOT RUN: ${reason}\n`)
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'waybill-proxies-'))
  // PostgreSQL and the workers of nginx may be another's than root.
  chmodSync(folder, 0o711)
  const stops = []
  try {
    for (const name of ['service', 'keyless']) mkdirSync(join(folder, name), { mode: 0o711 })
    await run(folder, stops, process.argv.includes('--short'))
  } finally {
    // The proxies first: nothing reaches a service that is about to end.
    for (const stop of stops.reverse()) await stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  process.stdout.write(`\n${kept} held, ${broken.length} broken\n${broken.map((line) => `  ${line}\n`).join('')}`)
  return broken.length === 0 ? 0 : 1
}

process.exitCode = await main()
