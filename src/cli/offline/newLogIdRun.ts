import { renewLogId } from '../../eventlog/postgres/renewLogId.ts'
import { CommandFailed, WrongUsage } from '../outcome.ts'
import { createTerminal } from '../terminal.ts'
import { storeText, withPostgres } from './copyStores.ts'
import { foreseen } from './foreseen.ts'

export interface NewLogIdOptions {
  readonly log: string
  readonly yes?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export async function runNewLogId(options: NewLogIdOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const place = storeText(options.log, 'there')
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('Nobody can be asked here: say --yes')
    if (
      !(await terminal.confirm(`Give the log at ${place} another id, so that all positions of before are refused?`))
    ) {
      throw new CommandFailed('Nothing was changed')
    }
  }
  const logId = await foreseen(() => withPostgres(options.log, (text) => terminal.progress(text), renewLogId))
  terminal.data(options.json === true ? JSON.stringify({ logId }) : logId)
  terminal.progress(`The log at ${place} has another id now; start the service on it.`)
}
