import { requestText } from './sockets.mjs'

/** Prime: neighbours in the order of reports, or of reads, are far from each other in the log and the tables. */
export const stride = 7_919

/** The nth read of one operation by its id, all over. */
export function readRequest({ operations, apiKey, from }) {
  const access = apiKey === null ? '' : `authorization: Bearer ${apiKey}\r\n`
  return (n) => requestText('GET', `/v1/operations/bench-${((from + n) * stride) % operations}`, access)
}
