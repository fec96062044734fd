/** One answer of HTTP/1.1, as bytes brought it. */
export interface Answer {
  readonly status: number
  /** Names in lower case; the last of several. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** False: what there is of an answer that has not ended. */
  readonly complete: boolean
}

/** The bytes are no answer. */
export class MalformedAnswerError extends Error {
  override readonly name = 'MalformedAnswerError'
}

const headEnd = Buffer.from('\r\n\r\n')
const lineEnd = Buffer.from('\r\n')

/** Takes a connection's bytes and gives its answers. */
export class AnswerReader {
  #bytes: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0
  }

  /** The next answer, which is to a request of that method; null: it is not all there. Throws MalformedAnswerError. */
  next(method: string): Answer | null {
    for (;;) {
      const answer = this.#read(method, false)
      if (answer === null) return null
      this.#bytes = this.#bytes.subarray(answer.end)
      if (answer.status >= 200) return answer
    }
  }

  /** What there is of the next one, once its head is there; with `closed`, all there will ever be. */
  partial(method: string, closed = false): Answer | null {
    const answer = this.#read(method, true)
    return answer !== null && closed && answer.untilClose ? { ...answer, complete: true } : answer
  }

  #read(method: string, partial: boolean): (Answer & { end: number; untilClose: boolean }) | null {
    const bytes = this.#bytes
    const end = bytes.indexOf(headEnd)
    if (end === -1) {
      if (bytes.length > 65_536) throw new MalformedAnswerError('the head of an answer has no end')
      return null
    }
    const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
    const [, code] = /^HTTP\/1\.[01] (\d{3}) ?[\x20-\x7e]*$/.exec(first) ?? []
    if (code === undefined)
      throw new MalformedAnswerError(`an answer begins with ${JSON.stringify(first.slice(0, 100))}`)
    const status = Number(code)
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const [, name, value] = /^([!-9;-~]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
      if (name === undefined) throw new MalformedAnswerError(`a header line is ${JSON.stringify(line.slice(0, 100))}`)
      headers[name.toLowerCase()] = value?.trim() ?? ''
    }
    const from = end + headEnd.length
    if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
      return { status, headers, body: Buffer.alloc(0), complete: true, end: from, untilClose: false }
    }
    if (headers['transfer-encoding'] !== undefined) {
      const { body, next, complete } = unchunked(bytes, from)
      return complete || partial ? { status, headers, body, complete, end: next, untilClose: false } : null
    }
    const length = Number(headers['content-length'] ?? Number.NaN)
    const untilClose = Number.isNaN(length)
    const complete = !untilClose && bytes.length >= from + length
    if (!complete && !partial) return null
    const body = bytes.subarray(from, untilClose ? bytes.length : from + length)
    return { status, headers, body, complete, end: from + body.length, untilClose }
  }
}

function unchunked(bytes: Buffer, from: number): { body: Buffer; next: number; complete: boolean } {
  const parts: Buffer[] = []
  let at = from
  for (;;) {
    const end = bytes.indexOf(lineEnd, at)
    if (end === -1) break
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (!Number.isSafeInteger(size)) throw new MalformedAnswerError('a chunk has no size')
    const begin = end + lineEnd.length
    if (bytes.length < begin + size + lineEnd.length) break
    at = begin + size + lineEnd.length
    if (size === 0) return { body: Buffer.concat(parts), next: at, complete: true }
    parts.push(bytes.subarray(begin, begin + size))
  }
  return { body: Buffer.concat(parts), next: at, complete: false }
}
