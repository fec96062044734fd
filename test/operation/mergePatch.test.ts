import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isJsonObject, type Json, type JsonObject } from '../../src/operation/json.ts'
import { fillAbsent, mergePatch } from '../../src/operation/mergePatch.ts'

/** The examples of RFC 7396, appendix A, of those that patch an object with an object. */
const appendix: [string, string, string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ['{"a":"b"}', '{"a":{"x":1,"y":null}}', '{"a":{"x":1}}'],
  ['{"a":1}', '{"b":[null,{"c":null}]}', '{"a":1,"b":[null,{"c":null}]}'],
]

const member = fc.constantFrom('a', 'b', 'c', '1', '__proto__', 'constructor', '')
const leaf = fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.string({ maxLength: 4 }))
const { object } = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(leaf, { maxLength: 2 }), tie('object')),
  object: fc
    .uniqueArray(fc.tuple(member, tie('value')), { maxLength: 4, selector: ([name]) => name })
    .map((entries) => Object.fromEntries(entries)),
}))

/** RFC 7396's own pseudo code. */
function reference(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  const result = new Map(Object.entries(isJsonObject(target) ? target : {}))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name)
    else result.set(name, reference(result.get(name), value))
  }
  return Object.fromEntries(result)
}

function frozen(value: Json): void {
  if (typeof value !== 'object' || value === null) return
  for (const item of Object.values(value)) frozen(item)
  Object.freeze(value)
}

describe('a merge patch', () => {
  test.each(appendix)('of %s by %s is %s', (target, patch, result) => {
    expect(JSON.stringify(mergePatch(JSON.parse(target), JSON.parse(patch)))).toBe(result)
  })

  test('does what the RFC says, without changing what it is given, and says when nothing changed', () => {
    fc.assert(
      fc.property(object, object, (target, patch) => {
        frozen(target)
        frozen(patch)
        const result = mergePatch(target, patch)
        const expected = reference(target, patch)
        assert.deepStrictEqual(result, expected)
        const unchanged = JSON.stringify(reference(target, {})) === JSON.stringify(expected)
        if (unchanged) expect(result).toBe(target)
        expect(mergePatch(result, patch)).toBe(result)
      }),
      { numRuns: 2_000 },
    )
  })

  test('takes __proto__ for a member like any other', () => {
    const patched = mergePatch({}, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":1}}}'))
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype)
    expect('polluted' in patched).toBe(false)
    expect(JSON.stringify(patched)).toBe('{"__proto__":{"polluted":1},"constructor":{"prototype":{"x":1}}}')
    expect(Reflect.get(Object.prototype, 'x')).toBeUndefined()
    const again = mergePatch(patched, JSON.parse('{"__proto__":{"polluted":2}}'))
    expect(JSON.stringify(again)).toBe('{"__proto__":{"polluted":2},"constructor":{"prototype":{"x":1}}}')
    expect(JSON.stringify(mergePatch(again, JSON.parse('{"__proto__":null,"constructor":null}')))).toBe('{}')
  })

  test('shares what it does not touch', () => {
    const listed = { a: [1, { b: 2 }], c: 'c' }
    expect(mergePatch(listed, { a: [1, { b: 2 }] })).toBe(listed)
    expect(mergePatch(listed, { a: [1, { b: 2 }], c: 'c' })).toBe(listed)
    const target: JsonObject = { big: { x: [1, 2, 3] }, small: 1 }
    expect(mergePatch(target, { small: 2 }).big).toBe(target.big)
  })
})

describe('filling', () => {
  test('never overwrites nor deletes, and adds what a merge onto nothing would', () => {
    fc.assert(
      fc.property(object, object, (target, patch) => {
        frozen(target)
        frozen(patch)
        const result = fillAbsent(target, patch)
        kept(target, result)
        expect(fillAbsent(result, patch)).toBe(result)
        assert.deepStrictEqual(fillAbsent({}, patch), mergePatch({}, patch))
        if (JSON.stringify(result) === JSON.stringify(target)) expect(result).toBe(target)
      }),
      { numRuns: 2_000 },
    )
  })

  test('takes a member that is null for one that is there', () => {
    expect(fillAbsent({ a: null }, { a: 1, b: null })).toEqual({ a: null })
  })
})

function kept(before: JsonObject, after: JsonObject): void {
  for (const [name, value] of Object.entries(before)) {
    expect(Object.hasOwn(after, name)).toBe(true)
    const now = Object.getOwnPropertyDescriptor(after, name)?.value
    if (isJsonObject(value) && isJsonObject(now)) kept(value, now)
    else expect(now).toBe(value)
  }
}
