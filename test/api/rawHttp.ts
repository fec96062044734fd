import { connect, type Socket } from 'node:net'

export interface RawConnection {
  readonly socket: Socket
  write(text: string | Buffer): void
  /** All received so far. */
  received(): string
  /** Resolves with all that was received, when the other side has closed. */
  closed(): Promise<string>
  /** Resolves when what was received matches. */
  until(form: RegExp): Promise<string>
}

/** A connection that sends bytes as they are: what no HTTP client would. */
export async function rawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1' })
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => undefined)
  // Not events.once: a reset connection is an end like any other here.
  const happened = (event: string) => new Promise<void>((resolve) => socket.once(event, () => resolve()))
  const closed = happened('close').then(() => text)
  await happened('connect')
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    received: () => text,
    closed: () => closed,
    async until(form) {
      while (!form.test(text)) {
        await Promise.race([happened('data'), closed])
        if (socket.closed && !form.test(text)) throw new Error(`closed before ${form}: ${text}`)
      }
      return text
    },
  }
}
