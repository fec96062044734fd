/**
 * Members and items of JSON text as they stand there, byte for byte. The hash chain is taken over stored bytes, and
 * `JSON.stringify(JSON.parse(text))` need not give them back: `1.0`, `1e3`, escapes, members named like integers.
 */
export function rawMembers(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  walk(text, '{', '}', (from) => {
    const nameEnd = endOfValue(text, from)
    const name: unknown = JSON.parse(text.slice(from, nameEnd))
    const colon = skipSpace(text, nameEnd)
    if (text[colon] !== ':' || typeof name !== 'string') throw new Error(`no member at ${from}`)
    const valueFrom = skipSpace(text, colon + 1)
    const valueEnd = endOfValue(text, valueFrom)
    members.set(name, text.slice(valueFrom, valueEnd).trimEnd())
    return valueEnd
  })
  return members
}

export function rawItems(text: string): readonly string[] {
  const items: string[] = []
  walk(text, '[', ']', (from) => {
    const end = endOfValue(text, from)
    items.push(text.slice(from, end).trimEnd())
    return end
  })
  return items
}

function walk(text: string, open: string, close: string, element: (from: number) => number): void {
  let at = skipSpace(text, 0)
  if (text[at] !== open) throw new Error(`expected ${open}`)
  at = skipSpace(text, at + 1)
  if (text[at] === close) return
  for (;;) {
    at = skipSpace(text, element(at))
    if (text[at] === close) return
    if (text[at] !== ',') throw new Error(`expected , at ${at}`)
    at = skipSpace(text, at + 1)
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1
  return at
}

/** Index after the value that begins at `from`. The text is known to be JSON: its nesting needs counting, not checking. */
function endOfValue(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at += 1) {
    const char = text[at]
    if (char === '"') at = endOfString(text, at) - 1
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') {
      if (depth === 0) return at
      depth -= 1
    } else if ((char === ',' || char === ':') && depth === 0) return at
    if (depth === 0 && (char === '"' || char === '}' || char === ']')) return at + 1
  }
  return text.length
}

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return at + 1
  }
  throw new Error(`a string has no end, from ${from}`)
}
