import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addCanonicalJson, canonicalJson } from '../../src/operation/canonicalJson.ts'
import type { ReportStatus } from '../../src/operation/commands.ts'
import { HashInput } from '../../src/operation/hashInput.ts'
import { definitionRequestHash, requestHash } from '../../src/operation/requestHash.ts'

describe('canonical JSON', () => {
  test('is what the reference implementation makes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value))
      }),
      { numRuns: 1_000 },
    )
  })

  test('sorts members by code unit, numbers among them, and keeps __proto__', () => {
    const text = '{"10":1,"9":2,"-":3,"\\u20ac":4,"\\ud83d\\ude00":5,"__proto__":6,"a\\"b":7,"\\n":8}'
    expect(canonicalJson(JSON.parse(text))).toBe(
      '{"\\n":8,"-":3,"10":1,"9":2,"__proto__":6,"a\\"b":7,"\u20ac":4,"\ud83d\ude00":5}',
    )
  })

  test('is so for objects that share the beginning of their names, in any order and with members left out', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', '', '1', '__proto__'), { minLength: 1 })
    const objects = fc.array(names, { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(objects, (all) => {
        for (const order of all) {
          const value = Object.fromEntries(order.map((name, index) => [name, index % 3 === 2 ? undefined : index]))
          expect(canonicalJson(value)).toBe(canonicalize(value))
        }
      }),
    )
  })

  test('is so for objects with more members, and more kinds of objects, than are remembered', () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`m${(index * 7919) % 200}`, index]))
    expect(canonicalJson(many)).toBe(canonicalize(many))
    for (let index = 0; index < 30_000; index += 1) {
      const value = { [`id ${index % 11_000}`]: index, z: 1, a: 2 }
      const id = `id ${index % 11_000}`
      if (canonicalJson(value) !== `{"a":2,"${id}":${index},"z":1}`)
        expect(canonicalJson(value)).toBe(canonicalize(value))
    }
  })

  test('writes numbers as ECMAScript does', () => {
    expect(canonicalJson([1e21, 1e-7, 0.1, 100, -0])).toBe('[1e+21,1e-7,0.1,100,0]')
  })
})

describe('the hash of a request', () => {
  const body: ReportStatus = { type: 'ReportStatus', service: 's', status: 'a', data: { x: 1, y: { z: [1, 2] } } }
  const hash = requestHash('op-1', undefined, body)

  test('is the same whatever the order of members, and for members that are left out', () => {
    const turned: ReportStatus = { data: { y: { z: [1, 2] }, x: 1 }, status: 'a', service: 's', type: 'ReportStatus' }
    expect(requestHash('op-1', undefined, turned)).toBe(hash)
    expect(hash).toMatch(/^[\w-]{43}$/)
  })

  test('differs with type, operation, expected revision and each part of the body', () => {
    const others = [
      requestHash('op-2', undefined, body),
      requestHash('op-1', 0n, body),
      requestHash('op-1', 1n, body),
      requestHash('op-1', undefined, { ...body, status: 'b' }),
      requestHash('op-1', undefined, { ...body, data: { x: 1, y: { z: [2, 1] } } }),
      requestHash('op-1', undefined, { ...body, metadata: {} }),
      requestHash('op-1', undefined, { type: 'OpenOperation', pipeline: 'p' }),
      definitionRequestHash('op-1', undefined, { service: 's' }),
      definitionRequestHash('op-1', 0n, { service: 's' }),
    ]
    expect(new Set([hash, ...others]).size).toBe(others.length + 1)
  })

  test('stays as it was recorded: a change would refuse old retries as `key_reused`', () => {
    expect(hash).toBe('0N74UjmBKqHtKftJH43ZM24IngJ0zrbOYl9lX6GnVWg')
  })
})

describe('canonical JSON that is hashed', () => {
  test('is the bytes of the canonical text, whatever is in it and however long it is', () => {
    const input = new HashInput()
    const longText = fc.tuple(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 3_000 }))
    const values = fc.oneof(
      fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }),
      longText.map(([text, times]) => ({ [text]: [text.repeat(times), '"\\\n\u007f', 1e21, true, null] })),
    )
    fc.assert(
      fc.property(values, (value) => {
        addCanonicalJson(input.begin(), value)
        expect(input.digest('hex')).toBe(createHash('sha256').update(canonicalJson(value)).digest('hex'))
      }),
      { numRuns: 1_000 },
    )
  })

  test('keeps no memory for what was very long', () => {
    const input = new HashInput()
    const text = 'x'.repeat(3_000_000)
    const digest = createHash('sha256').update(text).digest('hex')
    expect(input.begin().add(text).digest('hex')).toBe(digest)
    expect(input.begin().add('a').add('bc').digest('hex')).toBe(createHash('sha256').update('abc').digest('hex'))
  })
})
