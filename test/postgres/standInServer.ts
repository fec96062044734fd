import { createServer, type Socket } from 'node:net'

export interface StandInSettings {
  /** The ErrorResponse to a session's start, from its parameters as they were sent; null: it is let in. */
  readonly refusal: (parameters: ReadonlyMap<string, string>) => { code: string; message: string } | null
  /** As the start of a session says it. */
  readonly processId: number
  /** What every query answers, in one row: name to text. */
  readonly row: Readonly<Record<string, string>>
}

export interface StandInServer {
  readonly connectionString: string
  /** What was queried, in order. */
  readonly queries: readonly string[]
  close(): Promise<void>
}

const headerBytes = 4

/** So much of PostgreSQL's protocol as a session's start and a simple query take: for servers that are not at hand. */
export async function startStandInServer(settings: StandInSettings): Promise<StandInServer> {
  const queries: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    serve(socket, settings, queries)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('It does not listen on a port')
  return {
    connectionString: `postgres://someone:secret@127.0.0.1:${address.port}/things`,
    queries,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

function serve(socket: Socket, { refusal, processId, row }: StandInSettings, queries: string[]): void {
  let received = Buffer.alloc(0)
  let started = false
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (;;) {
      // The first message has no type.
      const typeBytes = started ? 1 : 0
      if (received.length < typeBytes + headerBytes) return
      const length = received.readInt32BE(typeBytes)
      if (received.length < typeBytes + length) return
      const type = started ? received.toString('latin1', 0, 1) : 'start'
      const body = received.subarray(typeBytes + headerBytes, typeBytes + length)
      received = received.subarray(typeBytes + length)
      if (type === 'start') {
        started = true
        const refused = refusal(startParameters(body))
        if (refused !== null) return void socket.end(errorResponse(refused))
        socket.write(Buffer.concat([message('R', int32(0)), message('K', int32(processId), int32(1)), ready]))
      } else if (type === 'Q') {
        queries.push(body.toString('utf8', 0, body.length - 1))
        socket.write(Buffer.concat([rowDescription(row), dataRow(row), message('C', text('SELECT 1')), ready]))
      } else if (type === 'X') {
        return void socket.end()
      }
    }
  })
}

function startParameters(body: Buffer): ReadonlyMap<string, string> {
  const words = body.toString('utf8', headerBytes).split('\0')
  const parameters = new Map<string, string>()
  for (let index = 0; index + 1 < words.length; index += 2) parameters.set(words[index] ?? '', words[index + 1] ?? '')
  return parameters
}

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int16 = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const text = (value: string) => Buffer.from(`${value}\0`)

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + headerBytes), body])
}

const ready = message('Z', Buffer.from('I'))

function errorResponse({ code, message: words }: { code: string; message: string }): Buffer {
  const field = (type: string, value: string) => Buffer.concat([Buffer.from(type), text(value)])
  return message('E', field('S', 'FATAL'), field('C', code), field('M', words), Buffer.from([0]))
}

const int4Type = 23
const textType = 25

function rowDescription(row: Readonly<Record<string, string>>): Buffer {
  const fields = Object.entries(row).map(([name, value]) => {
    const type = /^\d+$/.test(value) ? int4Type : textType
    return Buffer.concat([text(name), int32(0), int16(0), int32(type), int16(-1), int32(-1), int16(0)])
  })
  return message('T', int16(fields.length), ...fields)
}

function dataRow(row: Readonly<Record<string, string>>): Buffer {
  const values = Object.values(row).map((value) => Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]))
  return message('D', int16(values.length), ...values)
}
