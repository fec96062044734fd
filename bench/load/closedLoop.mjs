// Closed loads on one party, each connection sending its next request once the last was answered: wrk when it is installed,
// else autocannon. Both send the same requests.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { accessHeader } from './access.mjs'

/** Of the scripts, which load one another by their names. */
const cwd = fileURLToPath(new URL('.', import.meta.url))

/** @returns {'wrk' | 'autocannon'} */
export function chooseLoader() {
  return spawnSync('wrk', ['--version']).error === undefined ? 'wrk' : 'autocannon'
}

/**
 * Sends reports for `seconds` and settles with what was answered. Throws when any answer was an error.
 * @param {{ loader: string, port: number, connections: number, seconds: number, operations: number, keyPrefix: string,
 *   first?: number, stride?: number, bodiesFile: string, bodies: string[], apiKey: string | null }} options the n-th
 *   report is on operation `first + n * stride`, modulo `operations`
 * @returns {Promise<{ requests: number, perSecond: number, p50Ms: number, p99Ms: number }>}
 */
export function load({ first = 0, stride = 1, ...options }) {
  const { operations, keyPrefix, bodiesFile, bodies, apiKey } = options
  const wrk = ['reports.lua', bodiesFile, hostOf(options), `${operations}`, keyPrefix, `${first}`, `${stride}`]
  let sent = 0
  const setupRequest = (request) => {
    sent += 1
    return {
      ...request,
      path: `/v1/operations/bench-${(first + sent * stride) % operations}/reports`,
      headers: {
        ...accessHeader(apiKey),
        'content-type': 'application/json',
        'idempotency-key': `${keyPrefix}-${sent}`,
      },
      body: bodies[sent % bodies.length],
    }
  }
  return loadWith(options, wrk, { method: 'POST', setupRequest })
}

/** The same with reads: GETs of the paths in `pathsFile`, a line each, round and round. */
export function loadReads(options) {
  const { pathsFile, apiKey } = options
  let paths = null
  let sent = 0
  const setupRequest = (request) => {
    paths ??= readFileSync(pathsFile, 'utf8').split('\n')
    sent += 1
    return { ...request, path: paths[sent % paths.length], headers: accessHeader(apiKey) }
  }
  return loadWith(options, ['reads.lua', pathsFile, hostOf(options)], { method: 'GET', setupRequest })
}

async function loadWith(options, wrk, request) {
  const result = options.loader === 'wrk' ? await runWrk(options, wrk) : await runAutocannon(options, request)
  if (result.errors > 0) throw new Error(`${result.errors} requests were not answered with 2xx`)
  if (result.requests === 0) throw new Error('not one request was answered')
  return result
}

function hostOf({ port }) {
  return `127.0.0.1:${port}`
}

async function runWrk({ port, connections, seconds, apiKey }, [script, ...args]) {
  const flags = ['-t', '1', '-c', `${connections}`, '-d', `${seconds}s`, '--timeout', '10s', '--latency', '-s', script]
  const access = apiKey === null ? [] : [apiKey]
  const output = await run('wrk', [...flags, `http://${hostOf({ port })}`, '--', ...args, ...access])
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

async function runAutocannon({ port, connections, seconds }, request) {
  const url = `http://${hostOf({ port })}`
  const result = await autocannon({ url, connections, duration: seconds, requests: [request] })
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
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
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
