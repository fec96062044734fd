// An idempotency key that somebody else has spent: refused as such, whatever remembers it, and counted.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, linear, startApi } from '../api/apiHarness.ts'

let api: ApiHarness
let admin: Record<string, string>
let ocr: Record<string, string>
let erp: Record<string, string>

beforeAll(async () => {
  api = await startApi({ commandLimits: { receiptsMax: 2 } })
  const made = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
  admin = { authorization: `Bearer ${made.body.key}` }
  const keyOf = async (name: string) => {
    const { body } = await api.send('POST', '/v1/keys', { name, roles: ['service', 'definer'] }, admin)
    return { authorization: `Bearer ${body.key}` }
  }
  ocr = await keyOf('ocr')
  erp = await keyOf('erp')
})
afterAll(() => api.close())

async function counted(): Promise<readonly number[]> {
  const { text } = await api.send('GET', '/metrics', undefined, admin)
  return ['same', 'another'].map((sender) => {
    const line = new RegExp(`^waybill_idempotency_keys_reused_total\\{sender="${sender}"\\} (\\d+)$`, 'm').exec(text)
    return Number(line?.[1])
  })
}

const report = (operation: string, key: string, status: string, sender: Record<string, string>) =>
  api.send(
    'POST',
    `/v1/operations/${operation}/reports`,
    { service: 's', status, pipeline: 'any' },
    { ...sender, 'idempotency-key': key },
  )

describe('an idempotency key that was used for something else', () => {
  test("says whether the sender's own key or another one used it, and not for what, and is counted so", async () => {
    const [own, others] = await counted()
    expect((await report('spent-1', 'k1', 'secret', ocr)).status).toBe(201)
    const mine = await report('spent-1', 'k1', 'other', ocr)
    const theirs = await report('spent-1', 'k1', 'other', erp)
    for (const { status, body } of [mine, theirs]) expect([status, body.code]).toEqual([422, 'key_reused'])
    expect(mine.body.detail).not.toContain('another sender')
    expect(theirs.body.detail).toContain('another sender')
    expect(theirs.text).not.toMatch(/ocr|secret/)
    expect(await counted()).toEqual([Number(own) + 1, Number(others) + 1])
  })

  test('says so also when the log alone remembers it', async () => {
    expect((await report('spent-2', 'k1', 'a', ocr)).status).toBe(201)
    for (const key of ['k2', 'k3', 'k4']) await report('spent-2', key, `status-${key}`, ocr)
    const theirs = await report('spent-2', 'k1', 'other', erp)
    expect([theirs.status, theirs.body.code]).toEqual([422, 'key_reused'])
    expect(theirs.body.detail).toContain('another sender')
    // The same request is the same, whoever sends it again.
    expect((await report('spent-2', 'k1', 'a', erp)).status).toBe(201)
  })

  test('says so where both came at once', async () => {
    const answers = await Promise.all([report('spent-3', 'k1', 'a', ocr), report('spent-3', 'k1', 'b', erp)])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 422]))
    expect(answers.find(({ status }) => status === 422)?.body.detail).toContain('another sender')
  })

  test('is a matter of each operation by itself', async () => {
    expect((await report('spent-4', 'k1', 'a', ocr)).status).toBe(201)
    expect((await report('spent-5', 'k1', 'b', erp)).status).toBe(201)
  })

  test('is told so of a definition, too', async () => {
    const put = (definition: object, sender: Record<string, string>) =>
      api.send('PUT', '/v1/pipelines/spent', definition, { ...sender, 'idempotency-key': 'd1' })
    const [own, others] = await counted()
    expect((await put(linear, ocr)).status).toBe(201)
    const theirs = await put({ ...linear, outOfOrder: 'hold' }, erp)
    expect([theirs.status, theirs.body.code]).toEqual([422, 'key_reused'])
    expect(theirs.body.detail).toContain('another sender')
    expect((await put({ ...linear, outOfOrder: 'hold' }, ocr)).body.detail).not.toContain('another sender')
    expect(await counted()).toEqual([Number(own) + 1, Number(others) + 1])
  })
})
