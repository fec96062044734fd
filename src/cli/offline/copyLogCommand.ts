import { Command } from 'commander'
import type { CopyLogOptions } from './copyLogRun.ts'

/** `waybill copy-log`: moves a log to another store. Works on the stores themselves, not on a running service. */
export function copyLogCommand(): Command {
  return new Command('copy-log')
    .description('Move the log to another store, event by event, and prove that all of it arrived')
    .requiredOption(
      '--from <store>',
      'the log to be moved: postgres://..., esdb://..., or the data directory of an embedded one',
    )
    .option(
      '--to <store>',
      'where to: an empty store, a new data directory, or what an earlier run was copying the same log to',
    )
    .option('--reopen', 'give the copy up: the log of --from takes reports again')
    .option('--yes', 'do not ask')
    .option('--json', 'data as JSON')
    .option('--quiet', 'data and errors only')
    .addHelpText(
      'after',
      `
The log of --from is closed first: services on it go on answering queries, and refuse reports with 503 until they are started
on the copy. Order, ids, revisions, times, hashes and bytes stay; positions and the log's id are new, and the read model is
built anew at the first start. A run that was interrupted is gone on with by the same command. EventStoreDB cannot keep
running services from writing to a log that is being copied: stop them first, or the command fails when one has written.

Passwords are better left out of the URL: PGPASSWORD or ~/.pgpass are read.

Examples
  $ waybill copy-log --from .waybill --to postgres://waybill@db.internal/waybill
  $ waybill copy-log --from postgres://waybill@db.internal/waybill --to 'esdb://es.internal:2113?tls=true'
  $ waybill copy-log --from postgres://waybill@db.internal/waybill --reopen`,
    )
    .action(async (options: CopyLogOptions) => {
      // The adapters take a second to load.
      const { runCopyLog } = await import('./copyLogRun.ts')
      await runCopyLog(options)
    })
}
