import { until } from '../../nodes/support/until.ts'
import { WaybillHttp } from '../../nodes/support/waybillHttp.ts'
import type { Call } from '../history/call.ts'
import { checkHistory, type Verdict } from '../history/checkHistory.ts'
import { readReadModel } from '../history/readModelRows.ts'
import { rebuildReadModel } from '../history/rebuild.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'

/** Holds what clients were told against a database on which no node runs any more; its read model had caught up. */
export async function judge(connectionString: string, calls: readonly Call[]): Promise<Verdict> {
  const log = await readLogFromDatabase(connectionString)
  const readModel = await readReadModel(connectionString)
  await rebuildReadModel(connectionString)
  return checkHistory({ calls, log, readModel, rebuilt: await readReadModel(connectionString) })
}

/** Until all that is in the log is in the read model, as a node says. */
export async function caughtUp(url: string, timeoutMs: number): Promise<void> {
  const http = new WaybillHttp(url)
  try {
    await until(`${url} has caught up`, timeoutMs, async () => {
      const { status, body } = await http.get('/v1/stats')
      return status === 200 && body.position === body.head
    })
  } finally {
    http.close()
  }
}
