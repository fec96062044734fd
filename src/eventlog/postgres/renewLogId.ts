import { CopyError } from '../copy/copyLog.ts'
import { connectOwner, hasLog } from './ownerSession.ts'

/**
 * Gives the log another id, after a restore that lost events: positions that were given out before then are refused (410),
 * instead of meaning other events, and the read model and the snapshots are made anew. Nodes that serve the log at the time
 * refuse to go on until they are restarted.
 *
 * @param connectionString of the schema's owner, on a direct connection.
 * @returns the new id
 */
export async function renewLogId(connectionString: string): Promise<string> {
  const owner = await connectOwner(connectionString, 'waybill new-log-id')
  try {
    if (!(await hasLog(owner))) throw new CopyError('The database holds no log')
    const { rows } = await owner.query<{ id: string }>(
      'UPDATE waybill_log.log_head SET log_id = gen_random_uuid() RETURNING log_id::text AS id',
    )
    const [head] = rows
    if (head === undefined) throw new CopyError('The database has a log without a head row')
    return head.id
  } finally {
    await owner.end()
  }
}
