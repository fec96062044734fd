import type { ServerResponse } from 'node:http'

/** Where a stream begins: after a position, or after all there is. */
export type StreamStart = bigint | 'head'

/** An answer whose head is to be written by the stream itself, once it is known from where on it tells. */
export interface StreamAnswer {
  readonly response: ServerResponse
  /** Whose share of the streams it uses. */
  readonly owner: string
  /** Called once, at the last moment at which the request can still be refused. */
  begin(position: bigint | null): void
  /** Asked every second: a stream whose key was revoked is ended. */
  isAllowed(): boolean
}
