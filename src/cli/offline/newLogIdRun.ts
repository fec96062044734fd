import { renewLogId } from '../../eventlog/postgres/renewLogId.ts'
import { CommandFailed, WrongUsage } from '../outcome.ts'
import { createTerminal } from '../terminal.ts'
import { withPostgres } from './copyStores.ts'
import { foreseen } from './foreseen.ts'
import { namedStore, storeText } from './namedStore.ts'

export interface NewLogIdOptions {
  readonly log?: string
  readonly logFile?: string
  readonly yes?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export async function runNewLogId(options: NewLogIdOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const store = namedStore({ option: 'log', word: options.log, file: options.logFile, directory: 'there' }, terminal)
  if (store === null) throw new WrongUsage('Pass --log or --log-file: the log that gets a new id')
  const place = storeText(store)
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('There is no terminal to ask for confirmation: pass --yes')
    if (!(await terminal.confirm(`Give the log at ${place} a new id, so that all earlier positions are refused?`))) {
      throw new CommandFailed('Nothing was changed')
    }
  }
  const logId = await foreseen(() => withPostgres(store, (text) => terminal.progress(text), renewLogId))
  terminal.data(options.json === true ? JSON.stringify({ logId }) : logId)
  terminal.progress(`The log at ${place} has a new id now; start the service on it.`)
}
