// The whole command room in place of the port alone: reports are decided on their operation's state, chained by hash,
// and get receipts.
import { createCommandService } from '../../../dist/commands/createCommandService.js'
import { migrateEventLog } from '../../../dist/eventlog/postgres/migrateEventLog.js'
import { openPostgresEventLog } from '../../../dist/eventlog/postgres/postgresEventLog.js'

export async function openAppender({ connectionString }) {
  const { role } = await migrateEventLog(connectionString)
  const log = await openPostgresEventLog({ connectionString, role })
  const commands = createCommandService({ log, clock: Date.now })
  return {
    async append(stream, _revision, { data, metadata }) {
      const body = { type: 'ReportStatus', pipeline: 'any', ...data }
      const { command: key, requestHash } = metadata
      const answer = await commands.submit({ operation: stream, key, requestHash, actor: 'bench', body })
      if (answer.kind !== 'accepted') throw new Error(`a report came back as ${JSON.stringify(answer)}`)
      return 0n
    },
    count: async () => null,
    close: () => log.close(),
  }
}
