// What a proxy with a file of docs/security is held to (docs/security.md). Each is a sentence and what finds out whether it holds.
import { readdirSync } from 'node:fs'
import { request as plainRequest } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { handshake } from './programs.mjs'
import { ask, clientOf, patienceMs, within } from './requests.mjs'

const json = { 'content-type': 'application/json' }
const lines = { 'content-type': 'application/x-ndjson' }

export function expect(holds, what) {
  if (!holds) throw new Error(`Not so: ${what}`)
}

function report(client, key, operation) {
  const headers = { ...json, authorization: `Bearer ${key}`, 'idempotency-key': `key-of-${operation}` }
  const body = JSON.stringify({ pipeline: 'any', service: 'ocr', status: 'read' })
  return ask(client, 'POST', `/v1/operations/${operation}/reports`, { headers, body })
}

/** Refused by itself, so that nothing of an upload of many stays anywhere. */
const refusedLine = (bytes) => `${JSON.stringify({ type: 'NoSuchCommand', filling: 'x'.repeat(bytes) })}\n`
const acceptedLine = (operation) =>
  `${JSON.stringify({ type: 'ReportStatus', operation, command: 'c', pipeline: 'any', service: 'ocr', status: 'read' })}\n`

async function gauge({ service, key }, name) {
  const answer = await fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${key}` } })
  const text = await answer.text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'gm'))].map(([, value]) => Number(value))
  expect(values.length > 0, `the service has a metric ${name}`)
  return values.reduce((sum, value) => sum + value, 0)
}

/** The service is asked until it says so. The bound is below the proxies' time-outs, which would end it as well. */
async function untilGauge(context, name, value) {
  const deadline = performance.now() + patienceMs
  while ((await gauge(context, name)) !== value) {
    expect(performance.now() < deadline, `${name} becomes ${value}`)
    await delay(50)
  }
}

/** Of each protocol, so that what holds for one is not taken for the other. */
export const ofEachProtocol = [
  [
    'a report is recorded and read with a key, and refused without one',
    async ({ client, key, name }) => {
      const operation = `${name}-${client.protocol}-report`.replaceAll(/[^A-Za-z0-9-]/g, '')
      expect((await report(client, key, operation)).status === 201, 'a report is 201')
      const read = { headers: { authorization: `Bearer ${key}` } }
      expect((await ask(client, 'GET', `/v1/operations/${operation}`, read)).status === 200, 'a read is 200')
      const refused = await ask(client, 'GET', `/v1/operations/${operation}`)
      expect(
        refused.status === 401 && refused.text.includes('"unauthorised"'),
        'no key is 401 in the words of the service',
      )
    },
  ],
  [
    'what a live stream says arrives at once',
    async ({ client, key, name }) => {
      const operation = `${name}-${client.protocol}-stream`.replaceAll(/[^A-Za-z0-9-]/g, '')
      const path = `/v1/events/stream?after=head&operation=${operation}`
      const stream = client.open('GET', path, { authorization: `Bearer ${key}` })
      expect((await stream.status()) === 200, 'a stream is 200')
      // Its place comes before anything happens; held back for more, it would not come before the stream's end.
      await stream.text('event: position')
      await report(client, key, operation)
      await stream.text('OperationOpened')
      await stream.text('StatusChanged')
      stream.leave()
    },
  ],
  [
    'the body of a report reaches the service as it is sent, and nothing of it is kept on the way',
    async ({ client, key, name, buffers }) => {
      const headers = { ...json, authorization: `Bearer ${key}` }
      const report = client.open('POST', `/v1/operations/${name}-body/reports`, headers)
      report.write(`{"service":"ocr","filling":"${'x'.repeat(300_000)}`)
      // It is never ended. The service, which has a clock for bodies, can say so only when the beginning has come to it.
      expect((await report.status()) === 408, 'the service says that the body did not come in time')
      expect((await report.whole()).includes('"timeout"'), 'in its own words')
      for (const folder of buffers) expect(readdirSync(folder).length === 0, `${folder} is empty`)
      report.leave()
    },
  ],
  [
    'a live stream and a wait end in the service when their client leaves',
    async (context) => {
      const { client, key } = context
      const authorization = `Bearer ${key}`
      const stream = client.open('GET', '/v1/operations/stream?after=head', { authorization })
      await stream.text('event: position')
      await untilGauge(context, 'waybill_live_streams', 1)
      stream.leave()
      await untilGauge(context, 'waybill_live_streams', 0)
      // Longer than anything is waited for here: it does not end by itself.
      const wait = client.open('GET', '/v1/operations/nobody?until=done', { authorization, prefer: 'wait=600' })
      await untilGauge(context, 'waybill_operation_waits', 1)
      wait.leave()
      await untilGauge(context, 'waybill_operation_waits', 0)
    },
  ],
  [
    'a service without keys refuses whoever comes through, and probes are answered',
    async ({ keyless }) => {
      for (const path of ['/v1/operations', '/metrics', '/v1/events/stream']) {
        const { status, text } = await ask(keyless, 'GET', path)
        expect(status === 403 && text.includes('"forbidden"'), `${path} is 403: ${status} ${text}`)
        // Also where it calls itself local, which is how a careless proxy looks.
        const local = await ask(keyless, 'GET', path, { headers: localHost(keyless) })
        expect(
          local.status === 403 && local.text.includes('forwarded'),
          `${path} of Host localhost is 403: ${local.text}`,
        )
      }
      expect((await ask(keyless, 'GET', '/livez')).status === 200, '/livez is 200')
    },
  ],
]

const localHost = ({ protocol }) => (protocol === 'HTTP/2' ? { ':authority': 'localhost' } : { host: 'localhost' })

/** Of HAProxy. */
export const ofBulkUploads = [
  [
    'the results of an upload arrive while it is still being sent',
    async ({ client, key, name }) => {
      const operation = `${name}-${client.protocol}-bulk`.replaceAll(/[^A-Za-z0-9-]/g, '')
      const upload = client.open('POST', '/v1/commands', { ...lines, authorization: `Bearer ${key}` })
      for (const part of ['1', '2', '3']) {
        upload.write(acceptedLine(`${operation}-${part}`))
        // The next line is not sent before: a proxy that keeps either direction back until it is whole waits for ever.
        await upload.text(`"operation":"${operation}-${part}"`)
      }
      upload.end()
      const results = (await upload.whole()).trim().split('\n')
      expect(results.length === 3 && results.every((line) => line.includes('"httpStatus":201')), 'three lines are 201')
    },
  ],
  [
    'an upload may be as long as it likes',
    async ({ client, key }) => {
      const upload = client.open('POST', '/v1/commands?results=failures', { ...lines, authorization: `Bearer ${key}` })
      const line = refusedLine(500_000)
      const count = 160
      for (let sent = 0; sent < count; sent += 1)
        if (!upload.write(line)) await within(upload.drained(), 'the upload goes on')
      upload.end()
      const text = await upload.whole()
      expect(
        text.trim().endsWith(`{"lines":${count},"failed":${count}}`),
        `${count} lines of 500 kB are read: ${text.slice(-200)}`,
      )
    },
  ],
]

/** Of nginx, which cannot do it (docs/security/nginx.conf). */
export const ofNoBulkUploads = [
  [
    'a bulk upload is refused at once and says where to go',
    async ({ client, key }) => {
      const headers = { ...lines, authorization: `Bearer ${key}` }
      const { status, text } = await ask(client, 'POST', '/v1/commands', { headers, body: acceptedLine('bulk') })
      expect(
        status === 501 && JSON.parse(text).detail.includes('bulk uploads'),
        `it is 501 with a reason: ${status} ${text}`,
      )
    },
  ],
]

export const ofEachProxy = [
  [
    'TLS 1.2 and 1.3 are spoken, 1.1 and plain HTTP are not',
    async ({ port, authority }) => {
      // Old versions are refused by our own side too, unless it is told otherwise.
      const only = (version) => ({ minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' })
      for (const version of ['TLSv1.2', 'TLSv1.3']) {
        expect((await handshake(port, authority, only(version))) === version, `${version} is spoken`)
      }
      const old = await handshake(port, authority, only('TLSv1.1')).catch((error) => error)
      expect(old instanceof Error && /protocol version/.test(old.message), `TLS 1.1 is refused by the proxy: ${old}`)
      const plain = await new Promise((resolve) => {
        const request = plainRequest({ host: '127.0.0.1', port, path: '/livez' }, (answer) =>
          resolve(answer.statusCode),
        )
        request.on('error', () => resolve('nothing'))
        request.end()
      })
      expect(plain === 400 || plain === 'nothing', `plain HTTP is not answered: ${plain}`)
    },
  ],
  [
    'another authority than the one that signed is found out',
    async ({ port }) => {
      const error = await handshake(port, undefined).catch((reason) => reason)
      expect(error instanceof Error, 'a client that does not know the authority refuses')
    },
  ],
]

/** Minutes rather than seconds: left out of the short form. */
export const ofLongRequests = [
  [
    'the longest wait is answered, and so is a request on a connection that stood idle for longer than it is kept',
    async ({ client, key }) => {
      const headers = { authorization: `Bearer ${key}`, prefer: 'wait=60' }
      const begun = performance.now()
      const { status } = await ask(client, 'GET', '/v1/operations/nobody-at-all?until=done', { headers }, 90_000)
      expect(status === 404, `the service says that there is none: ${status}`)
      expect(performance.now() - begun >= 59_000, 'it waited for its minute')
      await delay(80_000)
      const again = await report(client, key, `after-idleness-${client.protocol.length}-${begun}`)
      expect(again.status === 201, `a report after 80 s of idleness is 201: ${again.status}`)
    },
  ],
  [
    'a live stream on which nothing happens stays open by its heartbeat',
    async ({ client, key }) => {
      const stream = client.open('GET', '/v1/events/stream?after=head&operation=silence', {
        authorization: `Bearer ${key}`,
      })
      // Six of 15 s: longer than any time-out of the proxies.
      await stream.text((text) => text.split(': heartbeat').length > 6, 120_000)
      stream.leave()
    },
  ],
]

/** The same of HAProxy. */
export const ofLongUploads = [
  [
    'an upload that is slow in both directions is read to its end',
    async ({ client, key }) => {
      const upload = client.open('POST', '/v1/commands?results=failures', { ...lines, authorization: `Bearer ${key}` })
      const begun = performance.now()
      let sent = 0
      while (performance.now() - begun < 85_000) {
        upload.write(acceptedLine(`slow-${begun}-${client.protocol.length}-${sent}`))
        sent += 1
        await delay(10_000)
      }
      upload.end()
      const text = await upload.whole()
      expect(text.trim() === `{"lines":${sent},"failed":0}`, `${sent} lines are accepted: ${text}`)
    },
  ],
]

/** After everything else: all that was sent is in the logs by then, and a header that is refused as well. */
export async function logsHoldNoKey({ name, port, authority, key, log, stop }) {
  const client = clientOf(port, authority, 'HTTP/1.1')
  for (const headers of [
    { authorization: `Bearer ${key}${'x'.repeat(60_000)}` },
    { authorization: `Bearer ${key}`, 'x-filling': 'x'.repeat(60_000) },
  ]) {
    const request = client.open('GET', '/v1/stats', headers)
    // HAProxy and nginx refuse it; which status they choose is theirs.
    const status = await request.status().catch(() => 0)
    expect(status === 0 || (status >= 400 && status < 500), `headers of 60 kB are refused by ${name}: ${status}`)
  }
  client.close()
  await stop()
  const text = log()
  expect(text.includes('/v1/operations/'), `${name} logs requests`)
  expect(!text.includes(key), `${name} logs no key`)
  expect(!/authorization|bearer/i.test(text), `${name} logs no header with a key`)
  expect(!text.includes('after=head'), `${name} logs no query`)
}
