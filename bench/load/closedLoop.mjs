// One load on one party: wrk when it is installed, else autocannon. Both send the same requests.
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { accessHeader } from './access.mjs'

/** @returns {'wrk' | 'autocannon'} */
export function chooseLoader() {
  return spawnSync('wrk', ['--version']).error === undefined ? 'wrk' : 'autocannon'
}

/**
 * Sends reports for `seconds` and settles with what was answered. Throws when any answer was an error.
 * @param {{ loader: string, port: number, connections: number, seconds: number, operations: number, keyPrefix: string,
 *   bodiesFile: string, bodies: string[], apiKey: string | null }} options
 * @returns {Promise<{ requests: number, perSecond: number, p50Ms: number, p99Ms: number }>}
 */
export async function load(options) {
  const result = options.loader === 'wrk' ? await loadWithWrk(options) : await loadWithAutocannon(options)
  if (result.errors > 0) throw new Error(`${result.errors} requests were not answered with 2xx`)
  if (result.requests === 0) throw new Error('not one request was answered')
  return result
}

async function loadWithWrk({ port, connections, seconds, operations, keyPrefix, bodiesFile, apiKey }) {
  const script = fileURLToPath(new URL('reports.lua', import.meta.url))
  const host = `127.0.0.1:${port}`
  const flags = ['-t', '1', '-c', `${connections}`, '-d', `${seconds}s`, '--timeout', '10s', '--latency', '-s', script]
  const output = await run('wrk', [
    ...[...flags, `http://${host}`, '--', bodiesFile, host, `${operations}`, keyPrefix],
    ...(apiKey === null ? [] : [apiKey]),
  ])
  const line = /^RESULT (.*)$/m.exec(output)
  if (line === null) throw new Error(`wrk said: ${output}`)
  const { requests, durationUs, p50Us, p99Us, status, connect, read, write, timeout } = JSON.parse(line[1])
  return {
    requests,
    perSecond: (requests * 1e6) / durationUs,
    p50Ms: p50Us / 1000,
    p99Ms: p99Us / 1000,
    errors: status + connect + read + write + timeout,
  }
}

async function loadWithAutocannon({ port, connections, seconds, operations, keyPrefix, bodies, apiKey }) {
  let sent = 0
  const access = accessHeader(apiKey)
  const result = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest: (request) => {
          sent += 1
          return {
            ...request,
            path: `/v1/operations/bench-${sent % operations}/reports`,
            headers: { ...access, 'content-type': 'application/json', 'idempotency-key': `${keyPrefix}-${sent}` },
            body: bodies[sent % bodies.length],
          }
        },
      },
    ],
  })
  return {
    requests: result.requests.total,
    perSecond: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    errors: result.non2xx + result.errors + result.timeouts,
  }
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${command} ended with ${code}: ${output}`))
    })
  })
}
