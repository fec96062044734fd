import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Caller, KeyRecord } from '../../src/access/access.ts'

const compared = vi.hoisted(() => ({ calls: 0 }))
vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>()
  return {
    ...crypto,
    timingSafeEqual(one: NodeJS.ArrayBufferView, other: NodeJS.ArrayBufferView) {
      compared.calls += 1
      return crypto.timingSafeEqual(one, other)
    },
  }
})
// Test files share a worker, and with it modules that were loaded before, with crypto as it is.
vi.resetModules()
const { digestOf, makeApiKey } = await import('../../src/access/apiKey.ts')
const { createKeyRing } = await import('../../src/access/keyRing.ts')
afterEach(() => {
  compared.calls = 0
})

function ringKey(name: string) {
  const { id, key, digest } = makeApiKey()
  const record: KeyRecord = { id, name, roles: ['viewer'], createdAt: '2026-01-01T00:00:00.000Z', createdBy: 'x' }
  return { key, entry: { record, digest } }
}

describe('a key', () => {
  test('has 256 random bits, and another id each time', () => {
    const made = Array.from({ length: 1_000 }, makeApiKey)
    expect(new Set(made.map(({ id }) => id)).size).toBe(1_000)
    for (const { id, key, digest } of made) {
      expect(key).toMatch(new RegExp(`^wb_${id}_[A-Za-z0-9_-]{43}$`))
      expect(Buffer.from(key.slice(-43), 'base64url')).toHaveLength(32)
      expect(digest).toEqual(digestOf(key))
    }
  })
})

describe('looking for a key', () => {
  test('finds those in force, and no longer once they are replaced', () => {
    const [one, other] = [ringKey('one'), ringKey('other')]
    const ring = createKeyRing(null)
    expect(ring.find(`Bearer ${one.key}`)).toBeNull()
    ring.replace([one.entry, other.entry])
    for (const scheme of ['Bearer', 'bearer', 'BEARER ']) {
      expect(ring.find(`${scheme} ${one.key}`)).toMatchObject({ name: 'one', roles: ['viewer'] })
    }
    ring.replace([other.entry])
    expect(ring.find(`Bearer ${one.key}`)).toBeNull()
    expect(ring.find(`Bearer ${other.key}`)).toMatchObject({ name: 'other' })
  })

  test("knows the configuration's key besides", () => {
    const caller: Caller = { name: 'operator', keyId: null, roles: ['operator'], origin: 'configuration' }
    const ring = createKeyRing({ caller, digest: digestOf('c'.repeat(40)) })
    expect(ring.find(`Bearer ${'c'.repeat(40)}`)).toBe(caller)
    expect(ring.find(`Bearer ${'d'.repeat(40)}`)).toBeNull()
    // What an unknown key is compared with opens nothing.
    expect(createKeyRing(null).find('Bearer ')).toBeNull()
  })

  test('compares in constant time, as often whether there is a key of that id or not', () => {
    const known = ringKey('known')
    const ring = createKeyRing(null)
    ring.replace([known.entry])
    const wrongSecret = `${known.key.slice(0, -2)}AA`
    const counts = [wrongSecret, makeApiKey().key, 'x', 'y'.repeat(60)].map((token) => {
      compared.calls = 0
      expect(ring.find(`Bearer ${token}`)).toBeNull()
      return compared.calls
    })
    expect(counts).toEqual([2, 2, 2, 2])
    compared.calls = 0
    expect(ring.find(`Bearer ${known.key}`)).not.toBeNull()
    expect(compared.calls).toBe(2)
  })

  test('compares nothing for a key seen before, and remembers no guess', () => {
    const keys = Array.from({ length: 100 }, (_, index) => ringKey(`key-${index}`))
    const ring = createKeyRing(null)
    ring.replace(keys.map(({ entry }) => entry))
    const headers = keys.map(({ key }) => `Bearer ${key}`)
    for (const header of headers) ring.find(header)
    compared.calls = 0
    for (let round = 0; round < 10; round += 1) for (const header of headers) ring.find(header)
    expect(compared.calls).toBe(0)
    const guess = `Bearer ${makeApiKey().key}`
    for (let round = 0; round < 3; round += 1) ring.find(guess)
    expect(compared.calls).toBe(6)
  })
})
