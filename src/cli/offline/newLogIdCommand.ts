import { Command } from 'commander'
import type { NewLogIdOptions } from './newLogIdRun.ts'

/** `waybill new-log-id`: after a restore that lost events. Works on the store itself, not on a running service. */
export function newLogIdCommand(): Command {
  return new Command('new-log-id')
    .description('Give a restored log another id, so that positions of events it has lost are refused')
    .requiredOption('--log <store>', 'postgres://..., or the data directory of an embedded PostgreSQL')
    .option('--yes', 'do not ask')
    .option('--json', 'data as JSON')
    .option('--quiet', 'data and errors only')
    .addHelpText(
      'after',
      `
A backup holds the log up to some moment. What was accepted after it is lost, and its positions will be given out again, for
other events. With another id the log refuses all positions of before (410 another_log): live streams begin anew, and a wait
for a lost event ends at once. The read model is folded anew at the next start. No event is changed.

Stop the services first; after it they would refuse to go on. Passwords are better left out of the URL: PGPASSWORD or
~/.pgpass are read.

Examples
  $ waybill new-log-id --log .waybill
  $ waybill new-log-id --log postgres://waybill@db.internal/waybill --yes`,
    )
    .action(async (options: NewLogIdOptions) => {
      // The adapter takes a second to load.
      const { runNewLogId } = await import('./newLogIdRun.ts')
      await runNewLogId(options)
    })
}
