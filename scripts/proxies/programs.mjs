// What runs behind and in front: a service from dist, nginx and HAProxy with the files of docs/security. All of it works in one
// scratch folder, and ends with this process.
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const asRoot = process.getuid?.() === 0
const startMsMax = 120_000
export const serverName = 'waybill.example'

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A process of ours, with nothing of this one's environment but the path. `stop` waits until it has ended. */
function start(name, file, args, { signal = 'SIGTERM', env = {}, logFile }) {
  const child = spawn(file, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let output = ''
  const log = createWriteStream(logFile, { mode: 0o600 })
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
      log.write(chunk)
    })
  }
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      running.delete(child)
      log.end()
      resolve(code)
    })
  })
  ended.catch(() => undefined)
  const failure = () => new Error(`${name} ended: ${output}`)
  const stop = async () => {
    child.kill(signal)
    await ended
  }
  return { child, ended, stop, output: () => output, failure }
}

/** Waits until `look` answers with something, at most as long as any of these programs may take to start. */
async function startOf(process_, look) {
  const deadline = performance.now() + startMsMax
  for (;;) {
    const found = await look().catch(() => null)
    if (found !== null) return found
    if (process_.child.exitCode !== null || performance.now() > deadline) throw process_.failure()
    await delay(50)
  }
}

/** `node dist/main.js` with the embedded PostgreSQL in the folder. */
export async function startService(folder, name, settings) {
  const service = start(name, process.execPath, [join(root, 'dist', 'main.js')], {
    env: { WAYBILL_PORT: '0', WAYBILL_DATA_DIR: join(folder, name), ...settings },
    logFile: join(folder, `${name}.log`),
  })
  const url = await startOf(service, async () => {
    const [, address] = /listens on (http:\/\/\S+)\s/.exec(service.output()) ?? []
    return address !== undefined && (await fetch(`${address}/readyz`)).ok ? address : null
  })
  return { ...service, url, address: url.slice('http://'.length) }
}

/** An authority of our own and a certificate for `waybill.example` that it signed. */
export function makeCertificates(folder) {
  const openssl = (...args) => {
    const { status, error, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl failed: ${error?.message ?? stderr}`)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=An authority for a test',
  )
  openssl('req', '-new', ...key, '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', `/CN=${serverName}`)
  writeFileSync(join(folder, 'names'), `subjectAltName=DNS:${serverName}\n`)
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl('x509', '-req', '-in', 'tls.csr', '-out', 'tls.crt', ...signed)
  const read = (name) => readFileSync(join(folder, name), 'utf8')
  writeFileSync(join(folder, 'tls.pem'), read('tls.crt') + read('tls.key'), { mode: 0o600 })
  for (const name of ['ca.key', 'tls.key']) chmodSync(join(folder, name), 0o600)
  return { folder, authority: read('ca.crt') }
}

/** Each change must hit, so that a file which reads otherwise is not run half changed. */
function replaced(text, changes) {
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`The file of docs/security has no ${JSON.stringify(from)}`)
    return changed.replaceAll(from, to)
  }, text)
}

const example = (name) => readFileSync(join(root, 'docs', 'security', name), 'utf8')

async function startNginx(folder, port, { certificates, service, authority }) {
  // What nginx would buffer in files lies here: unbuffered means that nothing ever does.
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const temporary = kinds.map((kind) => `  ${kind}_temp_path ${join(folder, kind)};\n`).join('')
  const configuration = join(folder, 'nginx.conf')
  writeFileSync(
    configuration,
    replaced(example('nginx.conf'), [
      ['/run/nginx.pid', join(folder, 'nginx.pid')],
      ['/var/log/nginx/', `${folder}/`],
      ['http {\n', `http {\n${temporary}`],
      ['127.0.0.1:8080', service.address],
      ['listen 443 ', `listen 127.0.0.1:${port} `],
      ['/etc/waybill/', `${certificates.folder}/`],
    ]),
  )
  const args = ['-p', folder, '-e', join(folder, 'error.log'), '-c', configuration, '-g', 'daemon off;']
  const nginx = start('nginx', 'nginx', args, { logFile: join(folder, 'nginx.log') })
  await startOf(nginx, () => handshake(port, authority))
  const log = () =>
    ['access.log', 'error.log', 'nginx.log'].map((name) => readFileSync(join(folder, name), 'utf8')).join('')
  return {
    name: 'nginx',
    passesUploads: false,
    port,
    log,
    stop: nginx.stop,
    buffers: kinds.slice(0, 2).map((kind) => join(folder, kind)),
  }
}

async function startHaproxy(folder, port, { certificates, service, authority }) {
  const configuration = join(folder, 'haproxy.cfg')
  writeFileSync(
    configuration,
    replaced(example('haproxy.cfg'), [
      ['127.0.0.1:8080', service.address],
      ['bind :443 ', `bind 127.0.0.1:${port} `],
      ['/etc/waybill/', `${certificates.folder}/`],
      // Only root can become another.
      ...(asRoot ? [] : [['  user haproxy\n  group haproxy\n', '']]),
    ]),
  )
  const haproxy = start('HAProxy', 'haproxy', ['-db', '-f', configuration], {
    // Else it waits until the last connection has ended.
    signal: 'SIGINT',
    logFile: join(folder, 'haproxy.log'),
  })
  await startOf(haproxy, () => handshake(port, authority))
  return { name: 'HAProxy', passesUploads: true, port, log: haproxy.output, stop: haproxy.stop, buffers: [] }
}

/** Both, each with a folder of its own. `user` may enter them: the workers of nginx are another's. */
export async function startProxies(parent, behind) {
  const proxies = []
  try {
    for (const [kind, run] of [
      ['nginx', startNginx],
      ['haproxy', startHaproxy],
    ]) {
      const folder = join(parent, `${kind}-of-${behind.label}`)
      mkdirSync(folder, { mode: 0o711 })
      proxies.push(await run(folder, await freePort(), behind))
    }
    return proxies
  } catch (error) {
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    throw error
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** The version of TLS that was agreed on; rejects when none was. */
export function handshake(port, authority, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername: serverName, ca: authority, ...options }, () => {
      resolve(socket.getProtocol())
      socket.destroy()
    })
    socket.on('error', reject)
  })
}
