import { Command } from 'commander'
import type { NewLogIdOptions } from './newLogIdRun.ts'

/** `waybill new-log-id`: after a restore that lost events. Works on the store itself, not on a running service. */
export function newLogIdCommand(): Command {
  return new Command('new-log-id')
    .description('Give a restored log a new id, so that positions of lost events are refused')
    .option('--log <store>', 'the log: postgres://..., or the data directory of an embedded PostgreSQL')
    .option('--log-file <file>', 'a file that holds what --log would; - is standard input')
    .option('--yes', 'do not ask for confirmation')
    .option('--json', 'print data as JSON')
    .option('--quiet', 'print data and errors only')
    .addHelpText(
      'after',
      `
A backup holds the log up to some moment. What was accepted after that moment is lost, and its positions will be used again
for other events. With a new id the log refuses all earlier positions (410 another_log), so that live streams start over and a
wait for a lost event ends at once. The read model is rebuilt at the next start. No event changes.

Stop the services first, because running ones refuse to continue with another log. Pass no password as an argument, where
everybody on the machine can read it: write the URL to a file that only you can read, or leave the password out, for the command
reads PGPASSWORD and ~/.pgpass too.

Examples
  $ waybill new-log-id --log .waybill
  $ waybill new-log-id --log postgres://waybill@db.internal/waybill --yes
  $ waybill new-log-id --log-file /run/secrets/database-url --yes`,
    )
    .action(async (options: NewLogIdOptions) => {
      // The adapter takes a second to load.
      const { runNewLogId } = await import('./newLogIdRun.ts')
      await runNewLogId(options)
    })
}
