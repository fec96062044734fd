import pg from 'pg'

/** What the server said when it refused a statement; null when the error came from elsewhere (socket, client, bug). */
export interface ServerError {
  readonly code: string
  readonly constraint: string | null
  /** FATAL and worse end the session: whether a statement under way was committed, such an error does not say. */
  readonly fatal: boolean
}

export function serverError(error: unknown): ServerError | null {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return null
  const severity = error.severity ?? ''
  return { code: error.code, constraint: error.constraint ?? null, fatal: severity !== 'ERROR' }
}

/** Raised by append_chains() when the log is not the one that was opened. */
export const anotherLogState = 'WB001'

/** Raised by every append to a log that has been closed for a copy, or is one under way. */
export const logNotOpenState = 'WB002'

/** Data exception, integrity constraint violation, program limit exceeded: something in the call itself is at fault. */
export function blamesTheCall(code: string): boolean {
  return code.startsWith('22') || code.startsWith('23') || code.startsWith('54')
}

/** No server, no room, no time, no writes now: the same statement may well pass later. */
export function isUnavailability(code: string): boolean {
  return (
    ['08', '40', '53', '57', '58'].some((group) => code.startsWith(group)) ||
    code === '55P03' || // lock_not_available: lock_timeout
    code === '25006' || // read_only_sql_transaction: this is a standby
    code === '25P03' // idle_in_transaction_session_timeout
  )
}
