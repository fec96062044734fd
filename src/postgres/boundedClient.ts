import { Socket } from 'node:net'
import pg from 'pg'

/** A server that has been silent for so long after our goodbye will not answer it. */
const goodbyeMsMax = 2_000

/** `pg`'s client, which comes to its end although the server, or the network to it, has fallen silent. */
export class BoundedClient extends pg.Client {
  readonly socket: Socket

  constructor(config?: pg.ClientConfig) {
    const socket = new Socket()
    super({ ...config, stream: () => socket })
    this.socket = socket
  }

  override end(): Promise<void>
  override end(callback: (error: Error) => void): void
  override end(callback?: (error: Error) => void): Promise<void> | undefined {
    if (!this.socket.destroyed && this.socket.readyState !== 'closed') {
      const timer = setTimeout(() => this.socket.destroy(), goodbyeMsMax)
      this.socket.once('close', () => clearTimeout(timer))
    }
    if (callback === undefined) return super.end()
    super.end(callback)
    return undefined
  }
}
