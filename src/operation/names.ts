/** Operation id. `stream` is taken by a route of the API and refused by `isOperationId`. */
export const operationIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

/** Track and pipeline names. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

/**
 * Status, service, theme and worker: 1-128 printable characters (code points), spaces too. Refused are control characters,
 * lone surrogates and line separators. Not `\p{C}`: it holds the unassigned ones, which differ between Node versions.
 */
export const printablePattern = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,128}$/u

/**
 * What new names must be besides: without characters that reorder what stands around them (Unicode's Bidi_Control) and those
 * that nobody sees. With them two names look alike, or one like another. Not all that are invisible: emoji and some scripts
 * are written with joiners and variation selectors. Names recorded before this rule may hold them: they are read, listed and
 * asked for all the same.
 */
export const newNamePattern =
  /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\u180e\u200b\u2060-\u206f\ufeff\ufff9-\ufffb]{1,128}$/u

/** Idempotency key: visible ASCII. */
export const keyPattern = /^[\x21-\x7e]{1,255}$/

export function isOperationId(text: string): boolean {
  return text !== 'stream' && operationIdPattern.test(text)
}
