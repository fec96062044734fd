import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  await api.send('PUT', '/v1/pipelines/patient', { statuses: ['new', 'a', 'b', 'done'], outOfOrder: 'hold' })
})
afterAll(() => api.close())

const report = (id: string, key: string, status: string, more = {}) =>
  api.send(
    'POST',
    `/v1/operations/${id}/reports`,
    { pipeline: 'patient', service: 'ocr', status, ...more },
    { 'idempotency-key': key },
  )
const outcome = (id: string, key: string) => api.send('GET', `/v1/operations/${id}/commands/${encodeURIComponent(key)}`)

describe('what became of a command', () => {
  test('is its receipt, byte for byte, whatever came after', async () => {
    const first = await report('out-1', 'k/1 "?%'.replace(' ', '_'), 'a')
    await report('out-1', 'k2', 'b')
    const answer = await outcome('out-1', 'k/1_"?%')
    expect(answer.status).toBe(200)
    expect(answer.text.trimEnd()).toBe(first.text.trimEnd())
  })

  test('of an ignored report is why it was ignored', async () => {
    await report('out-2', 'k1', 'a')
    await report('out-2', 'k2', 'a')
    expect((await outcome('out-2', 'k2')).body).toMatchObject({ outcome: 'ignored', reason: 'duplicate', revision: 2 })
  })

  test('of a held report says what it has come to: held for now, applied, or dropped', async () => {
    await report('out-3', 'held', 'b')
    await report('out-3', 'gone', 'b', { service: 'other' })
    const receipt = { operation: 'out-3', command: 'held', outcome: 'held', reason: 'predecessor_missing', revision: 1 }
    expect((await outcome('out-3', 'held')).body).toMatchObject({
      ...receipt,
      now: { outcome: 'held', reason: 'predecessor_missing', revision: 1 },
    })
    await report('out-3', 'due', 'a')
    expect((await outcome('out-3', 'held')).body).toMatchObject({
      ...receipt,
      now: { outcome: 'applied', revision: 4 },
    })
    expect((await outcome('out-3', 'gone')).body.now).toMatchObject({ outcome: 'ignored', reason: 'duplicate' })
    // A retry gets the receipt that was given, not what it has come to.
    expect((await report('out-3', 'held', 'b')).body).toMatchObject(receipt)
  })

  test('of a held report that opened its operation is found all the same', async () => {
    expect((await report('out-4', 'opener', 'b')).status).toBe(201)
    await report('out-4', 'due', 'a')
    expect((await outcome('out-4', 'opener')).body).toMatchObject({ outcome: 'held', now: { outcome: 'applied' } })
  })

  test('is 404 where none is recorded under the key: refused, never sent, or of another operation', async () => {
    await report('out-5', 'k1', 'a')
    await report('out-5', 'refused', 'nowhere')
    for (const [id, key] of [
      ['out-5', 'refused'],
      ['out-5', 'never'],
      ['out-6', 'k1'],
    ] as const) {
      const answer = await outcome(id, key)
      expect(answer.body).toMatchObject({ status: 404, code: 'not_found', operation: id, command: key })
    }
    expect((await outcome('out-5', 'ä')).status).toBe(400)
  })
})
