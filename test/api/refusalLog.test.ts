import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { apartMax, createRefusalLog, type RefusedRequest, windowMs } from '../../src/api/refusalLog.ts'
import { startApi } from './apiHarness.ts'

const refused: RefusedRequest = {
  status: 401,
  method: 'GET',
  route: '/v1/stats',
  address: '192.0.2.7',
  key: '0123456789abcdef',
  name: null,
}

describe('refusals in the log', () => {
  let lines: Readonly<Record<string, unknown>>[] = []
  const logger = { warn: (fields: Readonly<Record<string, unknown>>) => void lines.push(fields) }
  beforeEach(() => {
    lines = []
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('are told at once, and how many followed once a minute', () => {
    const log = createRefusalLog(logger)
    for (let count = 0; count < 1_000; count += 1) log.note(refused)
    expect(lines).toEqual([{ audit: 'refused', ...refused, count: 1 }])
    vi.advanceTimersByTime(windowMs)
    expect(lines.slice(1)).toEqual([{ audit: 'refused', ...refused, count: 999 }])
    log.note(refused)
    expect(lines).toHaveLength(3)
    log.close()
    expect(lines).toHaveLength(3)
  })

  test('fill no log, however many addresses and keys they come with', () => {
    const log = createRefusalLog(logger)
    for (let count = 0; count < 5_000; count += 1) log.note({ ...refused, key: count.toString(16).padStart(16, '0') })
    expect(lines).toHaveLength(apartMax)
    log.close()
    expect(lines.slice(apartMax)).toEqual([{ audit: 'refused', count: 5_000 - apartMax }])
  })
})

test('wrong keys and missing roles are told with the id, the name and the address, never the secret', async () => {
  const api = await startApi()
  try {
    const { body: admin } = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
    const headers = (key: string) => ({ authorization: `Bearer ${key}` })
    const { body: ocr } = await api.send('POST', '/v1/keys', { name: 'ocr', roles: ['service'] }, headers(admin.key))
    const wrong = `${ocr.key.slice(0, -2)}AA`
    expect((await api.send('GET', '/v1/stats', undefined, headers(wrong))).status).toBe(401)
    expect((await api.send('GET', '/v1/operations/x', undefined, headers(ocr.key))).status).toBe(403)
    expect((await api.send('GET', '/v1/stats', undefined, { authorization: 'Bearer pa55word' })).status).toBe(401)
    const at = { audit: 'refused', method: 'GET', address: '127.0.0.1', count: 1 }
    expect(api.warnings).toEqual([
      { ...at, status: 401, route: '/v1/stats', key: ocr.id, name: null },
      { ...at, status: 403, route: '/v1/operations/:id', key: ocr.id, name: 'ocr' },
      { ...at, status: 401, route: '/v1/stats', key: null, name: null },
    ])
  } finally {
    await api.close()
  }
})
