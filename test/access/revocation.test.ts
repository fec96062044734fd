// What a key began and its revocation ends: over HTTP, on two nodes of one database.
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type Service, startService } from '../../src/service.ts'
import { openStream, type Reader } from '../live/liveHarness.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'

const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }
const operatorKey = 'o'.repeat(40)

let database: TestDatabase
const nodes: Service[] = []
const readers: Reader[] = []
const uploads: ClientRequest[] = []

beforeAll(async () => {
  database = await createMigratedDatabase()
  const environment = { DATABASE_URL: database.connectionString, WAYBILL_PORT: '0', WAYBILL_OPERATOR_KEY: operatorKey }
  for (let n = 0; n < 2; n += 1) nodes.push(await startService({ config: readConfig(environment), logger }))
})

afterAll(async () => {
  for (const reader of readers) reader.close()
  for (const upload of uploads) upload.destroy()
  for (const node of nodes) await node.stop()
  await database.drop()
})

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

async function call(node: Service, method: string, path: string, body?: unknown): Promise<{ key: string }> {
  const answer = await fetch(node.url + path, {
    method,
    headers: { ...bearer(operatorKey), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!answer.ok) throw new Error(await answer.text())
  return answer.status === 204 ? { key: '' } : JSON.parse(await answer.text())
}

function theNode(n: number): Service {
  const node = nodes[n]
  if (node === undefined) throw new Error('there is no such node')
  return node
}

/** Tries until the node has heard of the key. */
async function stream(node: Service, path: string, key: string): Promise<Reader> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    try {
      const reader = await openStream(Number(new URL(node.url).port), path, bearer(key))
      readers.push(reader)
      await reader.until(() => reader.lastId() !== '')
      return reader
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
  }
}

const within = <T>(what: string, happens: Promise<T>): Promise<T> =>
  Promise.race([
    happens,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`not in time: ${what}`)), patienceMs).unref()
    }),
  ])

test('a live stream ends with its key, in order, on every node; those of other keys go on', async () => {
  const { key } = await call(theNode(0), 'POST', '/v1/keys', { name: 'screen', roles: ['viewer', 'auditor'] })
  const { key: other } = await call(theNode(0), 'POST', '/v1/keys', { name: 'other', roles: ['viewer'] })
  const open: Reader[] = []
  const staying: Reader[] = []
  for (const node of nodes) {
    open.push(await stream(node, '/v1/events/stream', key), await stream(node, '/v1/operations/stream', key))
    staying.push(await stream(node, '/v1/operations/stream', other))
  }
  await call(theNode(0), 'DELETE', '/v1/keys/screen')
  expect(await within('the end of the streams', Promise.all(open.map((reader) => reader.ended)))).toEqual(
    open.map(() => true),
  )
  for (const node of nodes) {
    const again = openStream(Number(new URL(node.url).port), '/v1/events/stream', bearer(key))
    await expect(again).rejects.toMatchObject({ status: 401 })
  }
  const report = { service: 's', status: 'on', pipeline: 'any' }
  await call(theNode(0), 'POST', '/v1/operations/after/reports', report)
  for (const reader of staying) await reader.until((messages) => messages.length > 0)
})

interface Upload {
  send(operation: string): void
  /** The results so far, once there are so many. */
  results(count: number): Promise<{ operation?: string; httpStatus: number; problem?: { code: string } }[]>
  readonly ended: Promise<void>
}

async function upload(node: Service, key: string): Promise<Upload> {
  const headers = { ...bearer(key), 'content-type': 'application/x-ndjson' }
  const sent = request(`${node.url}/v1/commands`, { method: 'POST', headers })
  sent.on('error', quiet)
  uploads.push(sent)
  const send = (operation: string) =>
    void sent.write(`${JSON.stringify({ type: 'OpenOperation', operation, pipeline: 'any' })}\n`)
  send('first')
  const [answer]: IncomingMessage[] = await once(sent, 'response')
  if (answer === undefined) throw new Error('there is no answer')
  let text = ''
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = once(answer, 'end').then(quiet)
  return {
    send,
    ended,
    async results(count) {
      for (;;) {
        const lines = text.split('\n').slice(0, -1)
        if (lines.length >= count) return lines.map((line) => JSON.parse(line))
        await Promise.race([once(answer, 'data'), ended.then(() => Promise.reject(new Error(`ended: ${text}`)))])
      }
    },
  }
}

test('an upload does not outlive its key: what comes later is 401, and nothing of it is written', async () => {
  const { key } = await call(theNode(0), 'POST', '/v1/keys', { name: 'loader', roles: ['service'] })
  const bulk = await upload(theNode(0), key)
  bulk.send('second')
  expect((await bulk.results(2)).map(({ httpStatus }) => httpStatus)).toEqual([201, 201])
  await call(theNode(0), 'DELETE', '/v1/keys/loader')
  bulk.send('third')
  bulk.send('fourth')
  const [, , refused] = await within('a refusal', bulk.results(3))
  expect([refused?.httpStatus, refused?.problem?.code]).toEqual([401, 'unauthorised'])
  await within('the end of the answer', bulk.ended)
  for (const id of ['third', 'fourth']) {
    const found = await fetch(`${theNode(0).url}/v1/operations/${id}`, { headers: bearer(operatorKey) })
    expect(found.status).toBe(404)
  }
})
