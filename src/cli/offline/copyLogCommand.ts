import { Command } from 'commander'
import type { CopyLogOptions } from './copyLogRun.ts'

/** `waybill copy-log`: moves a log to another store. Works on the stores themselves, not on a running service. */
export function copyLogCommand(): Command {
  return new Command('copy-log')
    .description('Move the log to another store, event by event, and verify that all of it arrived')
    .option(
      '--from <store>',
      'the log to move: postgres://..., esdb://..., kurrentdb://..., or the data directory of an embedded PostgreSQL',
    )
    .option(
      '--to <store>',
      'the target: an empty store, a new data directory, or the target of an interrupted copy of the same log',
    )
    .option('--from-file <file>', 'a file that holds what --from would; - is standard input')
    .option('--to-file <file>', 'the same of --to')
    .option('--reopen', 'give up the copy, so that the log of --from accepts reports again')
    .option('--yes', 'do not ask for confirmation')
    .option('--json', 'print data as JSON')
    .option('--quiet', 'print data and errors only')
    .addHelpText(
      'after',
      `
The command first closes the log of --from: its services still answer queries, but refuse reports with 503 until you start
them on the copy. Order, ids, revisions, times, hashes and bytes of the events stay the same. Positions and the log's id are
new, and the read model is rebuilt at the first start. To resume an interrupted run, repeat the command. EventStoreDB cannot
stop running services from writing to a log that is being copied: stop them first, or the command fails if one has written.

Pass no password as an argument, where everybody on the machine can read it: write the URL to a file that only you can read, or
leave the password out. For PostgreSQL the command reads PGPASSWORD and ~/.pgpass too.

Examples
  $ waybill copy-log --from .waybill --to postgres://waybill@db.internal/waybill
  $ waybill copy-log --from postgres://waybill@db.internal/waybill --to 'esdb://es.internal:2113?tls=true'
  $ waybill copy-log --from .waybill --to-file /run/secrets/eventstore-url
  $ waybill copy-log --from postgres://waybill@db.internal/waybill --reopen`,
    )
    .action(async (options: CopyLogOptions) => {
      // The adapters take a second to load.
      const { runCopyLog } = await import('./copyLogRun.ts')
      await runCopyLog(options)
    })
}
