import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseStrictJson } from '../../src/api/strictJson.ts'
import { createWaybillClient } from '../../src/client/client.ts'
import { jsonText } from '../../src/client/jsonText.ts'

class Money {
  readonly amount = 5
}

class Decimal {
  readonly #digits: string
  constructor(digits: string) {
    this.#digits = digits
  }
  toJSON(): string {
    return this.#digits
  }
}

const cyclic: Record<string, unknown> = { a: 1 }
cyclic.self = cyclic
const shared = { a: [1] }
let deep: unknown[] = []
for (let depth = 0; depth < 200_000; depth += 1) deep = [deep]

/** What JSON.stringify would alter, drop or choke on, or no service takes. */
const unsendable: readonly (readonly [what: string, value: unknown, message: string])[] = [
  ['NaN', Number.NaN, 'is NaN, which is not in JSON'],
  ['Infinity', Number.POSITIVE_INFINITY, 'is Infinity, which is not in JSON'],
  ['-Infinity', Number.NEGATIVE_INFINITY, 'is -Infinity, which is not in JSON'],
  ['a BigInt', 5n, 'is a BigInt: send it as a string, or as a number if it is small enough'],
  ['a function', () => 1, 'is a function, which is not in JSON'],
  ['a symbol', Symbol('a'), 'is a symbol, which is not in JSON'],
  ['a Map', new Map([['a', 1]]), 'is an object of the class Map: '],
  ['a Set', new Set([1]), 'is an object of the class Set: '],
  ['bytes', new Uint8Array(2), 'is an object of the class Uint8Array: '],
  ['a promise that was not awaited', Promise.resolve(1), 'is an object of the class Promise: '],
  ['an error', new Error('a'), 'is an object of the class Error: '],
  ['a pattern', /a/, 'is an object of the class RegExp: '],
  ['an instance of a class', new Money(), 'is an object of the class Money: '],
  ['an object made from another', Object.create({ a: 1 }), 'is an object with a prototype of its own: '],
  ['an invalid Date', new Date(Number.NaN), 'is an invalid Date'],
  ['half of a surrogate pair', 'a\ud800', 'holds half of a surrogate pair'],
  ['U+0000', 'a\0', 'holds the character U+0000'],
]

function messageOf(value: unknown): string {
  try {
    jsonText(value)
  } catch (error) {
    if (error instanceof TypeError) return error.message
    throw error
  }
  return 'written'
}

describe('what a caller gives, as JSON', () => {
  test('is what JSON.stringify makes of it', () => {
    const scalar = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\u007f', '\u2028', 'ä', '😀', 'a') }),
      fc.date({ noInvalidDate: true }),
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        scalar,
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(
          fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
          fc.oneof(tie('value'), fc.constant(undefined)),
          { maxKeys: 5, noNullPrototype: false },
        ),
      ),
    }))
    fc.assert(
      fc.property(value, (given) => {
        fc.pre(!JSON.stringify(given).includes('\\u0000'))
        const text = jsonText(given)
        expect(text).toBe(JSON.stringify(given))
        expect(parseStrictJson(Buffer.from(text))).toEqual({ ok: true, value: JSON.parse(text) })
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['members that are undefined', { a: undefined, b: [{ c: undefined }] }],
    ['a Date', { at: new Date(0) }],
    ['a class with toJSON', [new Decimal('12.50')]],
    ['a member whose toJSON gives nothing', { a: { toJSON: () => undefined }, b: 1 }],
    ['a toJSON that is told its name', { a: { toJSON: (key: string) => key }, b: [{ toJSON: (key: string) => key }] }],
    ['Node.js bytes, which have a toJSON', Buffer.from('ab')],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['an object of another realm', runInNewContext('({ a: [{}] })')],
    ['the same object twice', { one: shared, other: [shared, shared] }],
    ['symbols as names, which nobody sees', { a: 1, [Symbol('b')]: 2 }],
    ['members that are not enumerable', Object.defineProperty({ a: 1 }, 'b', { value: new Map() })],
    ['-0', -0],
    ['a number as large as there is', 1.7976931348623157e308],
  ])('%s: as JSON.stringify has it', (_what, value) => {
    expect(jsonText(value)).toBe(JSON.stringify(value))
  })

  test.each(unsendable)('%s is a TypeError that names the path, at any depth', (_what, value, message) => {
    const beginning = (given: unknown, path: string) => messageOf(given).slice(0, path.length + 1 + message.length)
    expect(beginning(value, 'the value')).toBe(`the value ${message}`)
    expect(beginning({ data: value }, 'data')).toBe(`data ${message}`)
    const path = 'data.items[1]["unit price"]'
    expect(beginning({ data: { items: [1, { 'unit price': value }] } }, path)).toBe(`${path} ${message}`)
    expect(beginning({ a: { toJSON: () => [value] } }, 'a[0]')).toBe(`a[0] ${message}`)
  })

  test('undefined is one in an array, and as a whole', () => {
    expect(messageOf({ a: [1, undefined] })).toBe('a[1] is undefined, which is not in JSON')
    const holed: unknown[] = [1]
    holed[2] = 3
    expect(messageOf(holed)).toBe('[1] is undefined, which is not in JSON')
    expect(messageOf([{ toJSON: () => undefined }])).toBe('[0] is undefined, which is not in JSON')
    expect(messageOf(undefined)).toBe('the value is undefined, which is not in JSON')
  })

  test('names are looked at like texts', () => {
    expect(messageOf({ a: { ['__proto__']: 1 } })).toBe('a.__proto__ has a name that no service takes')
    expect(messageOf({ a: { '\udc00': 1 } })).toMatch(/^a\["\\udc00"\] holds half of a surrogate pair$/)
    expect(messageOf({ a: { 'b\0': 1 } })).toMatch(/^a\["b\\u0000"\] holds the character U\+0000$/)
  })

  test('an object that is within itself, and one that is nested without end', () => {
    expect(messageOf({ data: cyclic })).toBe('data.self is an object that it is within')
    expect(messageOf({ data: deep })).toMatch(/^data(?:\[0\])+ is nested too deep$/)
  })
})

describe('a command that cannot be sent as it is', () => {
  // Nobody listens there: what was sent would be tried again until its time is up.
  const client = createWaybillClient({ baseUrl: 'http://127.0.0.1:9' })
  const single = createWaybillClient({ baseUrl: 'http://127.0.0.1:9', batching: false })

  test.each([
    ['in bulk', client],
    ['alone', single],
  ])('rejects with a TypeError, unsent, %s', async (_how, waybill) => {
    const data = { items: [{ price: Number.NaN }] }
    const error = new TypeError('data.items[0].price is NaN, which is not in JSON')
    await expect(waybill.report('op', { service: 's', status: 'a', data })).rejects.toThrow(error)
    await expect(waybill.open({ id: 'op', pipeline: 'p', data })).rejects.toThrow(error)
    await expect(waybill.report('op\ud800', { service: 's', status: 'a' })).rejects.toThrow(
      new TypeError('operation holds half of a surrogate pair'),
    )
    await expect(waybill.report('op', { service: 's', status: 'a' }, { expectedRevision: Number.NaN })).rejects.toThrow(
      new TypeError('expectedRevision is NaN, which is not in JSON'),
    )
    const definition = { outOfOrder: 'hold' as const, statuses: ['a', undefined as unknown as string] }
    await expect(waybill.definePipeline('p', definition)).rejects.toThrow(
      new TypeError('statuses[1] is undefined, which is not in JSON'),
    )
    expect(waybill.pending).toBe(0)
  })

  test('and a question that would ask for something else', async () => {
    const asked = (filter: object) => client.list(filter)[Symbol.asyncIterator]().next()
    await expect(asked({ metadata: new Map([['customer', 'ACME']]) })).rejects.toThrow(
      'metadata must be a plain object',
    )
    await expect(asked({ metadata: { customer: null } })).rejects.toThrow(/^metadata\.customer must be a string/)
    await expect(asked({ status: null })).rejects.toThrow(/^status must be a string/)
    await expect(asked({ status: ['read', null] })).rejects.toThrow(/^status must be a string/)
    await expect(asked({ state: [] })).rejects.toThrow('state has no value: nothing can match')
    await expect(asked({ held: 'yes', blocked: {} })).rejects.toThrow(/^blocked must be a string/)
    await expect(asked({ theme: '\ud800' })).rejects.toThrow(/^theme must be a string/)
    await expect(client.get('op', { minPosition: Number.NaN as unknown as string })).rejects.toThrow(
      /^minPosition must/,
    )
  })
})
