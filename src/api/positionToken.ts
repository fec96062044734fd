/**
 * A position as callers see it: opaque, and bound to its log, for after a restore or a copy the same number means
 * another event. Form: the log id (22 characters, base64url of the UUID's bytes), then the position in base 36.
 */
export interface PositionTokens {
  encode(position: bigint): string
  /** `another_log`: well-formed, of a log that is not this one. */
  decode(token: string): bigint | 'malformed' | 'another_log'
}

/** 22 characters for the log, at most 13 for a position: 2^63-1 is `1y2p0ij32e8e7`. */
const tokenForm = /^([A-Za-z0-9_-]{22})(0|[1-9a-z][0-9a-z]{0,12})$/

export function createPositionTokens(logId: string): PositionTokens {
  const prefix = Buffer.from(logId.replaceAll('-', ''), 'hex').toString('base64url')
  if (prefix.length !== 22) throw new TypeError('a log id is a UUID')
  return {
    encode: (position) => prefix + position.toString(36),
    decode(token) {
      const [, log, digits] = tokenForm.exec(token) ?? []
      if (log === undefined || digits === undefined) return 'malformed'
      if (log !== prefix) return 'another_log'
      let position = 0n
      for (const digit of digits) position = position * 36n + BigInt(Number.parseInt(digit, 36))
      return position > 2n ** 63n - 1n ? 'malformed' : position
    },
  }
}
