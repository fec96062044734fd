import { createServer, type IncomingHttpHeaders } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { createWaybillClient, type WaybillClient, type WaybillError } from '../../src/client/client.ts'
import type { ClientOptions } from '../../src/client/options.ts'
import { createManualClock, settled } from './manualClock.ts'

const cleanUps: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

interface Said {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Heard {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A service that says what it is told to, one answer a request; null: nothing at all. */
async function startScripted(script: (Said | null)[]) {
  const heard: Heard[] = []
  const waiting: (() => void)[] = []
  const server = createServer(async (message, response) => {
    let body = ''
    for await (const chunk of message.setEncoding('utf8')) body += chunk
    heard.push({ method: message.method ?? '', url: message.url ?? '', headers: message.headers, body })
    for (const go of waiting.splice(0)) go()
    const said = script.shift()
    if (said === undefined) response.writeHead(404).end('the script is over')
    else if (said !== null) response.writeHead(said.status, said.headers).end(said.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  cleanUps.push(stop)
  return {
    heard,
    stop,
    baseUrl: `http://127.0.0.1:${address.port}`,
    async hears(count: number) {
      while (heard.length < count) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}

const report = { service: 's', status: 'x' }
const receipt = (key: string, operation = 'op') =>
  JSON.stringify({ operation, command: key, outcome: 'applied', revision: 0, position: 'p' })
const resultLine = (key: string, operation = 'op') => `${receipt(key, operation).slice(0, -1)},"httpStatus":200}\n`
const json = { 'content-type': 'application/json' }

async function withScript(
  script: (Said | null)[],
  options: Partial<ClientOptions>,
  use: (client: WaybillClient, heard: readonly Heard[]) => Promise<void>,
): Promise<void> {
  const service = await startScripted(script)
  const client = createWaybillClient({ baseUrl: service.baseUrl, random: () => 0, ...options })
  await use(client, service.heard)
  await client.close()
}

describe('what is not an answer of the service', () => {
  test('is no receipt: of another command, of another operation, not JSON, without its members', async () => {
    const bad = [
      resultLine('other'),
      resultLine('k', 'other'),
      '{"a":1}\n',
      'null\n',
      '<html>\n',
      resultLine('k').trimEnd(),
      '',
    ]
    const script = [...bad, resultLine('k')].map((body) => ({ status: 200, body }))
    await withScript(script, {}, async (client, heard) => {
      expect(await client.report('op', report, { key: 'k' })).toEqual(JSON.parse(receipt('k')))
      expect(heard).toHaveLength(bad.length + 1)
      expect(new Set(heard.map((one) => one.body)).size).toBe(1)
    })
    const single = [receipt('other'), receipt('k', 'other'), '{"a":1}', 'null', '<html>', receipt('k').slice(0, -1)]
    const singleScript = [...single, receipt('k')].map((body) => ({ status: 200, body, headers: json }))
    await withScript(singleScript, { batching: false }, async (client, heard) => {
      expect(await client.report('op', report, { key: 'k' })).toEqual(JSON.parse(receipt('k')))
      expect(heard).toHaveLength(single.length + 1)
      expect(heard.every((one) => one.headers['idempotency-key'] === 'k')).toBe(true)
    })
  })

  test('is told of when it is tried again, and an error thrown there breaks nothing', async () => {
    const thrown: unknown[] = []
    const caught = (error: unknown) => thrown.push(error)
    const outer = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', caught)
    try {
      for (const batching of [{}, false] as const) {
        const told: WaybillError[] = []
        const onRetry = (error: WaybillError) => {
          told.push(error)
          throw error
        }
        const body = batching === false ? receipt('k') : resultLine('k')
        await withScript([{ status: 502 }, { status: 200, body }], { batching, onRetry }, async (client) => {
          await client.report('op', report, { key: 'k' })
          expect(told).toMatchObject([{ code: 'unanswered', command: 'k', attempts: 1, mayHaveLanded: true }])
        })
        await withScript([{ status: 503 }, { status: 200, body: '{"pipelines":{}}' }], { onRetry }, async (client) => {
          await client.stats()
          expect(told).toMatchObject([{ command: 'k' }, { command: undefined, mayHaveLanded: true }])
        })
        expect(thrown.splice(0)).toEqual(told)
      }
    } finally {
      process.removeListener('uncaughtException', caught)
      for (const listener of outer) process.on('uncaughtException', listener)
    }
  })

  test('is tried again when it may pass, and never when it will not', async () => {
    for (const batching of [{}, false] as const) {
      for (const [status, again] of [
        [502, true],
        [503, true],
        [504, true],
        [429, true],
        [500, false],
        [404, false],
        [307, false],
      ] as const) {
        const script = [{ status, body: '<html>', headers: { location: '/elsewhere', 'retry-after': '0' } }]
        await withScript([...script, ...script], { batching, attemptsMax: 2 }, async (client, heard) => {
          const failed = client.report('op', report)
          await expect(failed).rejects.toMatchObject({ code: 'unanswered', mayHaveLanded: status >= 500 })
          expect(heard).toHaveLength(again ? 2 : 1)
          expect(heard.map((one) => one.url)).not.toContain('/elsewhere')
        })
      }
    }
  })

  test('a service that is not there has taken nothing', async () => {
    const service = await startScripted([])
    await service.stop()
    const client = createWaybillClient({ baseUrl: service.baseUrl, random: () => 0, attemptsMax: 3 })
    await expect(client.report('op', report)).rejects.toMatchObject({ attempts: 3, mayHaveLanded: false })
    await expect(client.get('op')).rejects.toMatchObject({ code: 'unanswered', attempts: 3 })
    await client.close()
  })
})

describe('waiting', () => {
  test('an attempt without an answer is given up in time; so is a bulk answer that stands still', async () => {
    const clock = createManualClock()
    const service = await startScripted([null, { status: 200, body: resultLine('k') }])
    const options = { clock, random: () => 0, attemptTimeoutMs: 5_000 }
    const client = createWaybillClient({ baseUrl: service.baseUrl, ...options })
    const reported = client.report('op', report, { key: 'k' })
    await service.hears(1)
    await clock.advance(4_999)
    expect(service.heard).toHaveLength(1)
    await clock.advance(1)
    await clockUntil(reported, () => clock.advance(0))
    expect(service.heard).toHaveLength(2)
    await client.close()
  })

  test('Retry-After in seconds and as a date are both waited for', async () => {
    const problem = { type: '', title: '', status: 503, detail: 'Later.', instance: '/', code: 'overloaded' }
    for (const [after, least] of [
      ['3', 3_000],
      [new Date(Date.now() + 60_000).toUTCString(), 50_000],
    ] as const) {
      const clock = createManualClock()
      const headers = { 'content-type': 'application/problem+json', 'retry-after': after }
      const stats = { pipelines: {}, position: '', head: '', lagMs: 0, parked: 0 }
      const service = await startScripted([
        { status: 503, headers, body: JSON.stringify(problem) },
        { status: 200, headers: json, body: JSON.stringify(stats) },
      ])
      const client = createWaybillClient({ baseUrl: service.baseUrl, clock, random: () => 0, timeoutMs: 100_000 })
      const asked = client.stats()
      await service.hears(1)
      // Until the time that runs is not the attempt's: 20 s, and 5 s that a read may wait.
      while (clock.nextInMs === null || clock.nextInMs === 25_000) await settled()
      expect(clock.nextInMs).toBeGreaterThanOrEqual(least)
      await clock.advance(clock.nextInMs ?? 0)
      expect(await asked).toEqual(stats)
      await client.close()
    }
  })

  test('an abort ends a read at once', async () => {
    const service = await startScripted([null])
    const client = createWaybillClient({ baseUrl: service.baseUrl })
    const controller = new AbortController()
    const asked = client.get('op', { signal: controller.signal })
    await service.hears(1)
    controller.abort('enough')
    await expect(asked).rejects.toBe('enough')
    await expect(client.get('op', { signal: controller.signal })).rejects.toBe('enough')
    expect(service.heard).toHaveLength(1)
    await client.close()
  })
})

test('the key, the headers and the path before /v1 go with every request', async () => {
  const service = await startScripted([{ status: 200, body: resultLine('k') }])
  const client = createWaybillClient({
    baseUrl: `${service.baseUrl}/waybill/`,
    apiKey: 'secret',
    headers: { traceparent: '00-1' },
  })
  await client.report('op', report, { key: 'k', expectedRevision: 3 })
  expect(service.heard[0]).toMatchObject({
    method: 'POST',
    url: '/waybill/v1/commands',
    headers: { authorization: 'Bearer secret', traceparent: '00-1', 'content-type': 'application/x-ndjson' },
  })
  expect(JSON.parse(service.heard[0]?.body ?? '')).toMatchObject({ command: 'k', expectedRevision: 3, status: 'x' })
  await client.close()
})

test('options that make no sense are refused', () => {
  for (const options of [
    { baseUrl: 'ftp://x' },
    { baseUrl: 'http://x/?a=1' },
    { baseUrl: 'http://x', timeoutMs: 0 },
    { baseUrl: 'http://x', batching: { linesMax: -1 } },
  ]) {
    expect(() => createWaybillClient(options)).toThrow(TypeError)
  }
})

async function clockUntil(promise: Promise<unknown>, tick: () => Promise<void>): Promise<void> {
  let over = false
  const done = promise.finally(() => {
    over = true
  })
  while (!over) await tick()
  await done
}
