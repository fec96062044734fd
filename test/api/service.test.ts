import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { type ApiHarness, eventually, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const report = (harness: ApiHarness, id: string) =>
  harness.send('POST', `/v1/operations/${id}/reports`, { service: 's', status: 'a', pipeline: 'any' })

describe('health', () => {
  test('/livez depends on nothing', async () => {
    expect((await api.send('GET', '/livez')).body).toEqual({ status: 'alive' })
  })

  test('/readyz is 200 when everything answers, and lists it with ?verbose', async () => {
    await eventually(
      () => api.send('GET', '/readyz'),
      (answer) => answer.status === 200,
    )
    expect((await api.send('GET', '/readyz')).body).toEqual({ status: 'ready' })
    const { checks } = (await api.send('GET', '/readyz?verbose')).body
    expect(checks.map((check: { name: string }) => check.name)).toEqual(['service', 'log', 'read model', 'projector'])
    expect((await api.send('GET', '/readyz?nonsense')).status).toBe(400)
  })

  test('/readyz is 503 while the service shuts down; /livez is not', async () => {
    const closing = await startApi()
    try {
      closing.drain.abort()
      const answer = await closing.send('GET', '/readyz?verbose')
      expect(answer.status).toBe(503)
      expect(answer.body).toMatchObject({ code: 'not_ready' })
      expect(answer.body.checks[0]).toMatchObject({ name: 'service', ok: false })
      expect((await closing.send('GET', '/livez')).status).toBe(200)
    } finally {
      await closing.close()
    }
  })

  test('when the log does not answer, reads of it are 503 log_unavailable and /readyz says so', async () => {
    let down = false
    const refuse = () => Promise.reject(new LogUnavailableError('down'))
    const troubled = await startApi({
      wrapLog: (log) => ({
        ...log,
        logId: log.logId,
        append: (batch) => log.append(batch),
        readEvent: (stream, id) => log.readEvent(stream, id),
        subscribe: (options) => log.subscribe(options),
        close: () => log.close(),
        head: () => (down ? refuse() : log.head()),
        readStream: (stream, options) => (down ? refuse() : log.readStream(stream, options)),
        readAll: (options) => (down ? refuse() : log.readAll(options)),
      }),
    })
    try {
      await report(troubled, 'down-1')
      down = true
      for (const path of ['/v1/events', '/v1/operations/down-1/events', '/v1/operations/nobody']) {
        const answer = await troubled.send('GET', path)
        expect([path, answer.status, answer.body.code]).toEqual([path, 503, 'log_unavailable'])
        expect(answer.headers['retry-after']).toBe('1')
      }
      expect((await troubled.send('GET', '/v1/operations/down-1')).status).toBe(200)
      expect((await troubled.send('GET', '/v1/stats')).body).toMatchObject({ headReadAt: null })
      expect((await report(troubled, 'down-2')).body).toMatchObject({ code: 'log_unavailable', status: 503 })
      const ready = await troubled.send('GET', '/readyz?verbose')
      expect(ready.body.checks.find((check: { name: string }) => check.name === 'log').ok).toBe(false)
      expect((await troubled.send('GET', '/metrics')).text).toContain('waybill_projection_lag_events -1')
    } finally {
      down = false
      await troubled.close()
    }
  })
})

describe('a bug', () => {
  test('is 500, on record, and says nothing of the inside', async () => {
    const broken = await startApi({
      wrapLog: (log) => ({
        ...log,
        logId: log.logId,
        append: (batch) => log.append(batch),
        readStream: (stream, options) => log.readStream(stream, options),
        readEvent: (stream, id) => log.readEvent(stream, id),
        subscribe: (options) => log.subscribe(options),
        close: () => log.close(),
        head: () => log.head(),
        readAll: () => Promise.reject(new TypeError('secret detail')),
      }),
    })
    try {
      const answer = await broken.send('GET', '/v1/events')
      expect(answer.status).toBe(500)
      expect(answer.body.code).toBe('internal')
      expect(answer.text).not.toContain('secret')
      expect(broken.errors).toHaveLength(1)
    } finally {
      await broken.close()
    }
  })
})

describe('after draining', () => {
  test('commands are 503 overloaded, and what was written is still read', async () => {
    const closing = await startApi()
    try {
      await report(closing, 'drained-1')
      await closing.commands.drain()
      const answer = await report(closing, 'drained-2')
      expect(answer.body).toMatchObject({ code: 'overloaded', status: 503 })
      expect((await closing.send('GET', '/v1/operations/drained-1')).status).toBe(200)
    } finally {
      await closing.close()
    }
  })
})

describe('/metrics', () => {
  test('tells what conventions ask for, without ids in labels', async () => {
    await report(api, 'metric-1')
    await api.send('GET', '/v1/operations/metric-1')
    const { text, headers } = await api.send('GET', '/metrics')
    expect(headers['content-type']).toContain('text/plain')
    for (const name of [
      'waybill_projection_lag_seconds',
      'waybill_projection_lag_events',
      'waybill_append_batch_commands_count',
      'waybill_append_duration_seconds_count',
      'waybill_unknown_outcomes_total',
      'waybill_parked_streams',
      'waybill_commands_in_flight',
      'process_cpu_seconds_total',
    ]) {
      expect(text).toMatch(new RegExp(`^${name} \\S+$`, 'm'))
    }
    expect(text).toMatch(
      /^waybill_http_request_duration_seconds_count\{method="GET",route="\/v1\/operations\/:id",status="200"\} 1$/m,
    )
    expect(text).not.toContain('metric-1')
    for (const [, name] of text.matchAll(/^([a-z_]+)[ {]/gm)) expect(name).toMatch(/^(waybill|process|nodejs)_/)
  })
})
