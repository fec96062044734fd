/** It may hold a password: what is wrong with it is not said. */
export class ConnectionStringError extends Error {
  override readonly name = 'ConnectionStringError'
}
