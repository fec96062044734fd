import { type Copied, type CopyProgress, copyLog } from '../../eventlog/copy/copyLog.ts'
import { CommandFailed, WrongUsage } from '../outcome.ts'
import { Progress } from '../progress.ts'
import { createTerminal, type Terminal } from '../terminal.ts'
import { openSource, openTarget, storeText } from './copyStores.ts'
import { foreseen } from './foreseen.ts'

export interface CopyLogOptions {
  readonly from: string
  readonly to?: string
  readonly reopen?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

export async function runCopyLog(options: CopyLogOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  if (options.reopen === true) return reopen(options, terminal)
  const { from, to } = options
  if (to === undefined) throw new WrongUsage('Say --to, or --reopen')
  const [fromText, toText] = [storeText(from, 'there'), storeText(to, 'there or new')]
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('Nobody can be asked here: say --yes')
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

async function reopen({ from, to, json }: CopyLogOptions, terminal: Terminal): Promise<void> {
  if (to !== undefined) throw new WrongUsage('--reopen and --to exclude each other')
  await foreseen(async () => {
    const source = await openSource(from, (text) => terminal.progress(text))
    try {
      await source.reopen()
    } finally {
      await source.end()
    }
  })
  if (json === true) terminal.data(JSON.stringify({ reopened: true }))
  terminal.progress(`The log at ${storeText(from, 'there')} takes reports again`)
}

function copy(from: string, to: string, terminal: Terminal): Promise<Copied> {
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
