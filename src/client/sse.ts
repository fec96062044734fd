/** A message of a server-sent event stream. */
export interface SseMessage {
  /** `message` when the server names none. */
  readonly event: string
  readonly data: string
  /** The last id the stream gave, with this message or before it; empty when it gave none. */
  readonly id: string
}

/** Reads the text of a stream piece by piece, as the HTML standard says ("event stream interpretation"). */
export interface SseReader {
  /** The messages that end in this piece. One that is cut off by the end of the stream never comes out. */
  push(text: string): SseMessage[]
  /** The last id, of messages given out and of blocks without data. */
  readonly lastId: string
  /** Milliseconds the server asks to wait before coming back; null when it does not say. */
  readonly retryMs: number | null
  /** Characters kept for the message that is arriving. */
  readonly pending: number
}

export function createSseReader(firstId: string): SseReader {
  let rest = ''
  let event = ''
  let data: string[] = []
  let dataCharacters = 0
  let id = firstId
  let lastId = firstId
  let retryMs: number | null = null
  let first = true

  function field(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) return
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'event') event = value
    else if (name === 'data') {
      data.push(value)
      dataCharacters += value.length
    } else if (name === 'id' && !value.includes('\0')) id = value
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
  }

  function dispatch(messages: SseMessage[]): void {
    // An id counts once its block has ended: what was cut off is to be sent again.
    lastId = id
    if (data.length > 0) messages.push({ event: event === '' ? 'message' : event, data: data.join('\n'), id })
    event = ''
    data = []
    dataCharacters = 0
  }

  return {
    push(text) {
      const messages: SseMessage[] = []
      let all = rest + text
      if (first && all !== '') {
        first = false
        if (all.startsWith('\uFEFF')) all = all.slice(1)
      }
      let at = 0
      const lineEnd = /\r\n|\n|\r/g
      for (let end = lineEnd.exec(all); end !== null; end = lineEnd.exec(all)) {
        // A carriage return at the very end may be half of a line end.
        if (end[0] === '\r' && lineEnd.lastIndex === all.length) break
        const line = all.slice(at, end.index)
        at = lineEnd.lastIndex
        if (line === '') dispatch(messages)
        else field(line)
      }
      rest = all.slice(at)
      return messages
    },
    get lastId() {
      return lastId
    },
    get retryMs() {
      return retryMs
    },
    get pending() {
      return rest.length + dataCharacters
    },
  }
}
