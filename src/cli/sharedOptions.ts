import type { Command } from 'commander'
import type { ConnectionOptions } from './connection.ts'

/** What every verb takes. */
export interface SharedOptions extends ConnectionOptions {
  readonly json?: boolean
}

/** What every verb that changes something takes. */
export interface ChangeOptions extends SharedOptions {
  readonly dryRun?: boolean
}

/** `whose`: the key that the verb asks for. */
export function shared(command: Command, whose = "an operator's"): Command {
  return command
    .option('--url <url>', 'address of the service (or WAYBILL_URL; default http://127.0.0.1:8080)')
    .option(
      '--key-file <file>',
      `file that holds ${whose} key (or WAYBILL_KEY_FILE; WAYBILL_KEY may hold the key itself)`,
    )
    .option('--json', 'print data as JSON')
    .option('--quiet', 'print data and errors only')
}
