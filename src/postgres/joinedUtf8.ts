/**
 * Texts one after the other, `separator` (ASCII) between them, as the UTF-8 bytes of one parameter. Given a text the
 * driver measures it and then writes it, and a text that was joined is first put together: together that takes three to
 * four times as long (docs/performance.md). Given bytes it says that they are in the binary format, which for `text` is
 * the same. The texts are well-formed: half of a surrogate pair would be replaced.
 */
export function joinedUtf8(texts: readonly string[], separator: string): Buffer {
  const separatorByte = separator.charCodeAt(0)
  let units = texts.length
  for (const text of texts) units += text.length
  // Most of it is ASCII. The slack spares measuring what fits whatever it holds.
  let bytes: Buffer = Buffer.allocUnsafe(units + (units >> 3) + slackBytes)
  let at = 0
  for (const [index, text] of texts.entries()) {
    if (index > 0) bytes[at++] = separatorByte
    if (bytes.length - at < text.length * unitBytesMax + 1) bytes = withRoomFor(texts, index, bytes, at)
    at += bytes.write(text, at)
  }
  return bytes.subarray(0, at)
}

const slackBytes = 64
/** No UTF-16 unit takes more. */
const unitBytesMax = 3

/** With room for the texts from `index` on, and a separator after each; the same bytes when they have it. */
function withRoomFor(texts: readonly string[], index: number, bytes: Buffer, at: number): Buffer {
  let needed = at
  for (let next = index; next < texts.length; next += 1) needed += Buffer.byteLength(texts[next] ?? '') + 1
  if (needed <= bytes.length) return bytes
  const larger = Buffer.allocUnsafe(needed)
  bytes.copy(larger, 0, 0, at)
  return larger
}
