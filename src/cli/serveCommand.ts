import { Command } from 'commander'

/** `waybill serve`: the service itself, as `npm start` runs it. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Start the service in this process; its environment configures it')
    .addHelpText(
      'after',
      `
It serves until SIGTERM or SIGINT; a second signal ends it at once. Without DATABASE_URL it runs a PostgreSQL server of its
own, with its data in WAYBILL_DATA_DIR. docs/configuration.md has all variables.

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage or configuration.

Examples
  $ waybill serve
  $ WAYBILL_PORT=9000 DATABASE_URL=postgres://waybill@db.internal/waybill waybill serve`,
    )
    .action(async () => {
      // The other verbs do not need it.
      const { serve } = await import('../serve.ts')
      // The service has its own way with an output that fails: it serves on.
      process.stdout.removeAllListeners('error')
      await serve([])
    })
}
