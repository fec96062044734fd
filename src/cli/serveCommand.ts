import { Command } from 'commander'

/** `waybill serve`: runs the service in this process, as `node dist/main.js` does. */
export function serveCommand(): Command {
  return (
    new Command('serve')
      .description('Run the service until SIGTERM or SIGINT; waybill serve --help shows its environment')
      .summary('run the service')
      // Arguments, --help among them, are those of main.ts.
      .helpOption(false)
      .allowUnknownOption()
      .allowExcessArguments()
      .action(async () => {
        process.argv.splice(2, 1)
        // main.ts is a program: importing it runs it, and it sets the exit code where it comes back.
        await import('../main.ts')
      })
  )
}
