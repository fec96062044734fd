#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { isClosedPipe, whenOutputFails } from '../runtime/closedPipe.ts'
import { auditCommand } from './auditCommand.ts'
import { keysCommand } from './keysCommand.ts'
import { copyLogCommand } from './offline/copyLogCommand.ts'
import { newLogIdCommand } from './offline/newLogIdCommand.ts'
import { exitCodes, WrongUsage } from './outcome.ts'
import { projectionsCommand } from './projectionsCommand.ts'
import { serveCommand } from './serveCommand.ts'

/** The version in package.json, which is beside `src` and `dist` alike. */
const version: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

function program(): Command {
  return new Command('waybill')
    .description(
      'Starts Waybill, or manages a running service over HTTP. copy-log and new-log-id work on the stores themselves',
    )
    .version(version)
    .addCommand(serveCommand())
    .addCommand(keysCommand())
    .addCommand(projectionsCommand())
    .addCommand(auditCommand())
    .addCommand(copyLogCommand())
    .addCommand(newLogIdCommand())
    .addHelpText(
      'after',
      `
Commands write data to standard output and everything else to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage.

Where the package is installed, and in a clone that npm start or npm run build has built, call it as npx waybill.

Examples
  $ waybill serve
  $ waybill keys create admin --role operator --out admin.key
  $ waybill keys list --key-file admin.key --json
  $ waybill projections list --key-file admin.key
  $ waybill audit --key-file auditor.key`,
    )
}

/** Who reads the data has left: that is their affair. That it could not be written for another reason is a failure. */
function onDataFailed(error: NodeJS.ErrnoException): void {
  if (isClosedPipe(error)) process.exit(exitCodes.done)
  process.stderr.write(`Standard output cannot be written: ${error.message}\n`)
  process.exit(exitCodes.failed)
}

/** Commander ends the process by itself with 1 for wrong usage; here that is 2, and 1 means that it was tried. */
function throwing(command: Command): Command {
  command.exitOverride()
  for (const verb of command.commands) throwing(verb)
  return command
}

async function main(): Promise<number> {
  whenOutputFails(process.stdout, onDataFailed)
  // What is under way is done all the same: only nobody is told how it goes.
  whenOutputFails(process.stderr, () => undefined)
  try {
    await throwing(program()).parseAsync(process.argv)
    // A service that could not start has set its own.
    return typeof process.exitCode === 'number' ? process.exitCode : exitCodes.done
  } catch (error) {
    // Commander has said already what was wrong, or shown what was asked for.
    if (error instanceof CommanderError) return isShown(error) ? exitCodes.done : exitCodes.usage
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof WrongUsage ? exitCodes.usage : exitCodes.failed
  }
}

/** `--help` and `--version`; a call without a verb shows the help too, and is wrong usage. */
function isShown({ code, exitCode }: CommanderError): boolean {
  return exitCode === 0 && code !== 'commander.help'
}

process.exitCode = await main()
