import { type Copied, type CopyProgress, copyLog } from '../../eventlog/copy/copyLog.ts'
import { CommandFailed, WrongUsage } from '../outcome.ts'
import { Progress } from '../progress.ts'
import { createTerminal, type Terminal } from '../terminal.ts'
import { openSource, openTarget } from './copyStores.ts'
import { foreseen } from './foreseen.ts'
import { namedStore, type Store, storeText } from './namedStore.ts'

export interface CopyLogOptions {
  readonly from?: string
  readonly fromFile?: string
  readonly to?: string
  readonly toFile?: string
  readonly reopen?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export async function runCopyLog(options: CopyLogOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const { from, to } = namedStores(options, terminal)
  if (options.reopen === true) {
    if (to !== null) throw new WrongUsage('--reopen and --to exclude each other')
    return reopen(from, options, terminal)
  }
  if (to === null) throw new WrongUsage('Pass either --to or --reopen')
  const [fromText, toText] = [storeText(from), storeText(to)]
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('There is no terminal to ask for confirmation: pass --yes')
    if (!(await terminal.confirm(`Close the log at ${fromText} for good, and move it to ${toText}?`))) {
      throw new CommandFailed('Nothing was changed')
    }
  }
  const copied = await copy(from, to, terminal)
  if (options.json === true) terminal.data(JSON.stringify(copied))
  else terminal.data(copied.logId)
  const resumed = copied.resumedAfter === 0 ? '' : `, ${copied.resumedAfter} of them by an earlier run`
  terminal.progress(
    `Copied and compared ${copied.events} events${resumed}. The copy is log ${copied.logId}; start the service on it.`,
  )
}

function namedStores(options: CopyLogOptions, terminal: Terminal): { from: Store; to: Store | null } {
  if (options.fromFile === '-' && options.toFile === '-') {
    throw new WrongUsage('Standard input holds one store: pass a file for the other')
  }
  const from = namedStore({ option: 'from', word: options.from, file: options.fromFile, directory: 'there' }, terminal)
  if (from === null) throw new WrongUsage('Pass --from or --from-file: the log to move')
  const to = namedStore({ option: 'to', word: options.to, file: options.toFile, directory: 'there or new' }, terminal)
  return { from, to }
}

async function reopen(from: Store, { json }: CopyLogOptions, terminal: Terminal): Promise<void> {
  await foreseen(async () => {
    const source = await openSource(from, (text) => terminal.progress(text))
    try {
      await source.reopen()
    } finally {
      await source.end()
    }
  })
  if (json === true) terminal.data(JSON.stringify({ reopened: true }))
  terminal.progress(`The log at ${storeText(from)} accepts reports again`)
}

function copy(from: Store, to: Store, terminal: Terminal): Promise<Copied> {
  return foreseen(async () => {
    const source = await openSource(from, (text) => terminal.progress(text))
    try {
      const target = await openTarget(to, (text) => terminal.progress(text))
      try {
        return await copyLog(source, target, shower(terminal))
      } finally {
        await target.end()
      }
    } finally {
      await source.end()
    }
  })
}

/** A bar for each stage. */
function shower(terminal: Terminal): (progress: CopyProgress) => void {
  let stage: CopyProgress['stage'] | null = null
  let bar = new Progress(terminal, '')
  return ({ stage: now, events, share }) => {
    if (now !== stage) {
      bar.end()
      terminal.progress(now === 'copying' ? 'Copying' : 'Comparing')
      bar = new Progress(terminal, 'events')
      stage = now
    }
    // How many there will be is told by how far these came.
    bar.show({ done: events, total: share === 0 ? events : Math.round(events / share) })
    if (share === 1) bar.end()
  }
}
