import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keepsDigits } from '../../src/api/jsonNumber.ts'
import { parseStrictJson } from '../../src/api/strictJson.ts'

/** `units` times ten to the power of `exponent`, as it is written. */
interface Decimal {
  readonly units: bigint
  readonly exponent: number
  /** From the first digit that is not 0. */
  readonly digits: string
}

function decimalOf(literal: string): Decimal {
  const [, whole = '', fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(literal) ?? []
  const written = whole + fraction
  return { units: BigInt(written), exponent: Number(exponent) - fraction.length, digits: String(BigInt(written)) }
}

/** A double's value, exactly: `mantissa` times two to the power of `exponent`. */
function binaryOf(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const all = bits.getBigUint64(0) & 0x7fff_ffff_ffff_ffffn
  const field = Number(all >> 52n)
  const fraction = all & 0xf_ffff_ffff_ffffn
  return field === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: field - 1_075 }
}

/** Whether the decimal is what the double is when it is rounded, half up, to the place of the decimal's last digit. */
function isRounded({ units, exponent }: Decimal, value: number): boolean {
  const { mantissa, exponent: power } = binaryOf(value)
  // value / 10^exponent, as a fraction of whole numbers.
  let numerator = mantissa * (power > 0 ? 1n << BigInt(power) : 1n)
  let denominator = power < 0 ? 1n << BigInt(-power) : 1n
  if (exponent > 0) denominator *= 10n ** BigInt(exponent)
  else numerator *= 10n ** BigInt(-exponent)
  return (2n * numerator + denominator) / (2n * denominator) === units
}

function same(one: Decimal, other: Decimal): boolean {
  const least = Math.min(one.exponent, other.exponent)
  const scaled = ({ units, exponent }: Decimal) => units * 10n ** BigInt(exponent - least)
  return scaled(one) === scaled(other)
}

/** The rule by long arithmetic, without `toPrecision`. */
function isKept(literal: string): boolean {
  const decimal = decimalOf(literal)
  if (decimal.units === 0n) return true
  const value = Math.abs(Number(literal))
  if (decimal.digits.length > 100 || value === 0 || value === Number.POSITIVE_INFINITY) return false
  const printed = decimalOf(JSON.stringify(value))
  if (same(decimal, printed) && decimal.digits === printed.digits) return true
  // Rounded up to one digit more it would be 10...0: none of its own digits then.
  return isRounded(decimal, value)
}

const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'00001234567899'.split('')), minLength, maxLength })

const whole = fc.oneof(
  fc.constant('0'),
  fc.tuple(fc.constantFrom(...'123456789'.split('')), digits(0, 24)).map((parts) => parts.join('')),
)
const fraction = fc.oneof(
  fc.constant(''),
  digits(1, 24).map((text) => `.${text}`),
)
const exponent = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  fc
    .tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), fc.oneof(fc.nat(30), fc.nat(330)))
    .map((parts) => parts.join('')),
)
const anyLiteral = fc.tuple(fc.constantFrom('', '-'), whole, fraction, exponent).map((parts) => parts.join(''))

const anyDouble = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -1_074, max: 1_023 }).map((power) => 2 ** power),
  // Halfway between two decimals of 16 digits.
  fc.bigInt(2n ** 51n, 2n ** 53n - 1n).map((mantissa) => Number(mantissa) / 8),
)
/** What programs print of a double: about as many digits as it has. */
const printed = fc
  .tuple(anyDouble, fc.integer({ min: 1, max: 30 }), fc.constantFrom('shortest', 'precision', 'exponent'))
  .map(([value, count, form]) => {
    const text =
      form === 'shortest' ? String(value) : form === 'precision' ? value.toPrecision(count) : value.toExponential(count)
    return text.replace('e+', 'e')
  })

describe('a number is kept if it prints back to its own digits', () => {
  test.each([
    '0',
    '-0',
    '-0.0',
    '0e-400',
    `0.${'0'.repeat(200)}`,
    `0e${'9'.repeat(30)}`,
    '0.1',
    '0.001',
    '100.10',
    '1e21',
    '1E+21',
    '10e20',
    '1000000000000000000000',
    '52.520006599999995',
    '0.30000000000000004',
    '9007199254740991',
    '-9007199254740991',
    '9007199254740992',
    '100000000000000000000',
    '1e20',
    '1.5e300',
    '-1.5E+300',
    '1e-300',
    '5e-324',
    '1.7976931348623157e308',
    // What JavaScript and Python print for 2^-44 and for 865132416095445.25.
    '5.684341886080802e-14',
    '865132416095445.2',
    // The same to as many digits: what toPrecision prints.
    '5.684341886080801e-14',
    '865132416095445.3',
    `1${'0'.repeat(22)}`,
    `0.${'0'.repeat(120)}1`,
  ])('%s is', (literal) => {
    expect(isKept(literal)).toBe(true)
    expect(parseStrictJson(Buffer.from(literal))).toEqual({ ok: true, value: JSON.parse(literal) })
  })

  test.each([
    '0.123456789012345678',
    '12345678901234567890',
    '-12345678901234567890',
    '9007199254740993',
    '9007199254740993.0',
    '9007199254740993e0',
    '0.1000000000000000000000',
    '1e400',
    '-1e400',
    '1e-400',
    '1.2345e-320',
    '1e23456789012345678901234567890',
    `1${'0'.repeat(23)}`,
    // More than 100 digits, which a double would keep.
    `1.${'0'.repeat(100)}`,
    `${2n ** 400n}`,
  ])('%s is not', (literal) => {
    expect(keepsDigits(literal)).toBe(false)
    const problem = { code: 'invalid', errors: [{ in: 'body', pointer: '/a/0' }] }
    expect(parseStrictJson(Buffer.from(`{"a":[${literal}]}`))).toMatchObject({ ok: false, problem })
  })

  test('by long arithmetic just as by toPrecision', () => {
    fc.assert(
      fc.property(fc.oneof(anyLiteral, printed), (literal) => {
        expect({ literal, kept: keepsDigits(literal) }).toEqual({ literal, kept: isKept(literal) })
        expect(parseStrictJson(Buffer.from(`[${literal}]`)).ok).toBe(isKept(literal))
      }),
      { numRuns: 5_000 },
    )
  })

  test('whatever double a program prints is taken', () => {
    fc.assert(
      fc.property(anyDouble, (value) => {
        const text = JSON.stringify({ value })
        expect(parseStrictJson(Buffer.from(text))).toEqual({ ok: true, value: JSON.parse(text) })
      }),
      { numRuns: 5_000 },
    )
  })
})
