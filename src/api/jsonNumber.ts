import { isDigit, lowerE, point, upperE, zero } from './jsonScan.ts'

/** As many as `Number.prototype.toPrecision` prints. */
export const significantDigitsMax = 100

/** Every decimal of so many significant digits survives its way through a double, unless that is a subnormal one. */
const digitsAlwaysKept = 15

const smallestNormal = 2 ** -1022

/**
 * Whether a JSON number comes back from the double (IEEE 754) it is kept in with the digits it was sent with.
 *
 * The significant digits of a literal are those before its exponent, without sign and point, from the first that is not 0
 * to the last, which may be 0: `100.10` has the five 10010, `0.001` the one 1, `1e21` the one 1, and
 * `1000000000000000000000` the twenty-two that it is written with. A literal with n of them is kept if its double, printed
 * to n significant digits (`Number(literal).toPrecision(n)`), has just these; an exponent says where they stand and is no
 * digit. So `52.520006599999995`, `100.10` and `1e21` are kept, `12345678901234567890` and `0.123456789012345678` are
 * not, nor is `1e400`, which no double holds. Zero is 0 in any spelling (`-0.00`, `0e5`); more than 100 significant
 * digits are refused unseen.
 *
 * What JavaScript and Python print for a double is kept as well where it differs from `toPrecision`: they print the
 * shortest decimal that leads back to it, which for 2^-44 (5.684341886080802e-14) is not the nearest of its length, and
 * which of two that are equally near (865132416095445.25) is the even one.
 *
 * Takes time in proportion to the literal's length.
 */
export function keepsDigits(literal: string): boolean {
  const printed = String(Number(literal))
  // Nearly every number that comes here was printed by JavaScript or Python.
  if (printed === literal) return true
  const digits = significantDigits(literal)
  if (digits === '') return true
  if (digits === null) return false
  const value = Math.abs(Number(literal))
  if (digits.length <= digitsAlwaysKept && value >= smallestNormal && value <= Number.MAX_VALUE) return true
  // Where the digits are the same the magnitude is: no rounding moves a number by a factor of ten.
  return significantDigits(printed) === digits || significantDigits(value.toPrecision(digits.length)) === digits
}

/** '': none, the number is zero. Null: more than `significantDigitsMax`. */
function significantDigits(literal: string): string | null {
  let first = -1
  let hasPoint = false
  let end = 0
  for (; end < literal.length; end++) {
    const code = literal.charCodeAt(end)
    if (code === lowerE || code === upperE) break
    if (first === -1) {
      if (isDigit(code) && code !== zero) first = end
    } else if (code === point) hasPoint = true
  }
  if (first === -1) return ''
  if (end - first - (hasPoint ? 1 : 0) > significantDigitsMax) return null
  const digits = literal.slice(first, end)
  return hasPoint ? digits.replace('.', '') : digits
}
