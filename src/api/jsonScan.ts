/** Character codes of JSON's own signs. */
export const quote = 34
export const plus = 43
export const comma = 44
export const minus = 45
export const point = 46
export const zero = 48
export const nine = 57
export const colon = 58
export const upperE = 69
export const openBracket = 91
export const backslash = 92
export const closeBracket = 93
export const lowerE = 101
export const lowerU = 117
export const openBrace = 123
export const closeBrace = 125

/** NaN, which stands past the end of a text, is none. */
export const isDigit = (code: number) => code >= zero && code <= nine

/** Space, tab, line feed, carriage return: no other white space belongs to JSON. */
export const isSpace = (code: number) => code === 32 || code === 9 || code === 10 || code === 13

/**
 * In text that is valid JSON: the quote that ends the string whose opening quote is at `start`. Searching for quotes takes
 * half the time of looking at each character, and each run of backslashes is counted once.
 */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) return end
  }
}

/** In text that is valid JSON: the last character of the number that begins at `start`. */
export function endOfNumber(text: string, start: number): number {
  let end = start
  for (;;) {
    const code = text.charCodeAt(end + 1)
    // From minus to nine: the point and the digits are between them, and so is "/", which valid JSON has in strings alone.
    if ((code >= minus && code <= nine) || code === lowerE || code === upperE || code === plus) end++
    else return end
  }
}
