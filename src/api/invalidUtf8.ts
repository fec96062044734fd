/** In bytes that are not UTF-8: where the first of them is that does not belong there. */
export function invalidUtf8Offset(bytes: Buffer): number {
  const text = bytes.toString('utf8')
  let offset = 0
  let decoded = 0
  // What is invalid was decoded to U+FFFD; so was U+FFFD itself, and its bytes are EF BF BD.
  for (let at = text.indexOf('\ufffd'); at !== -1; at = text.indexOf('\ufffd', decoded)) {
    offset += Buffer.byteLength(text.slice(decoded, at))
    if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd) return offset
    offset += 3
    decoded = at + 1
  }
  return bytes.length
}
