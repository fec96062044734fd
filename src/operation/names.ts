/** Operation id. `stream` is taken by a route of the API and refused by `isOperationId`. */
export const operationIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Track and pipeline names. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

/**
 * Status, service, theme and worker: 1-128 printable characters (code points), spaces too. Refused are control characters,
 * lone surrogates and line separators, and what makes one name look like another: characters that reorder text (Unicode's
 * Bidi_Control) and those that nobody sees. Not all of \p{Cf}: emoji and some scripts are written with joiners. And not
 * `\p{C}`: it holds the unassigned ones, which differ between Node versions.
 */
export const printablePattern =
  /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\u180e\u200b\u2060-\u2064\ufeff]{1,128}$/u

/** Idempotency key: visible ASCII. */
export const keyPattern = /^[\x21-\x7e]{1,255}$/

export function isOperationId(text: string): boolean {
  return text !== 'stream' && operationIdPattern.test(text)
}
