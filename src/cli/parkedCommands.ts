import { Command } from 'commander'
import { readConnection } from './connection.ts'
import { type Connection, callApi, isObject, type JsonObject } from './httpApi.ts'
import { CommandFailed, WrongUsage } from './outcome.ts'
import { type ChangeOptions, type SharedOptions, shared } from './sharedOptions.ts'
import { createTerminal, type Terminal, table } from './terminal.ts'

interface ParkedOptions {
  readonly projection: string
}

interface RetryOptions extends ChangeOptions, ParkedOptions {
  readonly all?: boolean
  readonly reason?: string
}

interface SkipOptions extends ChangeOptions, ParkedOptions {
  readonly revision: number
  readonly reason: string
  readonly yes?: boolean
}

function ofProjection(command: Command): Command {
  return shared(command.option('--projection <name>', 'which projection', 'operations'))
}

export function parkedCommand(): Command {
  return ofProjection(new Command('parked').description('Streams that could not be folded, and why'))
    .addHelpText(
      'after',
      `
Examples
  $ waybill projections parked
  $ waybill projections parked --json | jq -r '.parked[].stream'`,
    )
    .action(parked)
}

async function parked(options: SharedOptions & ParkedOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const found = await allParked(readConnection(options, process.env), options.projection)
  if (options.json === true) return terminal.data(JSON.stringify({ parked: found }))
  if (found.length === 0) return terminal.progress('Nothing is parked')
  const rows = found.map(({ stream, revision, since, reason, detail }) =>
    [stream, revision, since ?? '-', reason, detail].map(String),
  )
  const [heading = '', ...lines] = table([['STREAM', 'REVISION', 'SINCE', 'REASON', 'DETAIL'], ...rows])
  terminal.data([terminal.bold(heading), ...lines].join('\n'))
}

async function allParked(connection: Connection, projection: string): Promise<JsonObject[]> {
  const found: JsonObject[] = []
  let pageToken = ''
  do {
    const next = pageToken === '' ? '' : `?pageToken=${encodeURIComponent(pageToken)}`
    const page = await callApi(connection, 'GET', `v1/projections/${encodeURIComponent(projection)}/parked${next}`)
    found.push(...(Array.isArray(page.parked) ? page.parked.filter(isObject) : []))
    pageToken = typeof page.nextPageToken === 'string' ? page.nextPageToken : ''
  } while (pageToken !== '')
  return found
}

export function retryCommand(): Command {
  return ofProjection(
    new Command('retry')
      .description('Try again to fold a parked stream, from the event it stops at')
      .argument('[stream]', 'as `parked` lists it'),
  )
    .option('--all', 'every parked stream, one after the other')
    .option('--reason <text>', 'kept with it in the log')
    .option('--dry-run', 'say what would be tried, and try nothing')
    .addHelpText(
      'after',
      `
Helps once the cause is gone: a newer version, a definition that is there by now, a database that takes the data.
It does not help a stream whose reason is \`tampered\`: put its events back as they were appended, then rebuild.
Exit code 1 when a stream is parked still.

Examples
  $ waybill projections retry operation-op-17
  $ waybill projections retry --all --reason 'upgraded to 1.4'`,
    )
    .action(retry)
}

async function retry(stream: string | undefined, options: RetryOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  if ((stream === undefined) === (options.all !== true)) throw new WrongUsage('Say which stream, or --all')
  const connection = readConnection(options, process.env)
  const found = stream === undefined ? await allParked(connection, options.projection) : [{ stream }]
  const tampered = found.filter(({ reason }) => reason === 'tampered').map((one) => String(one.stream))
  const streams = found.filter(({ reason }) => reason !== 'tampered').map((one) => String(one.stream))
  for (const one of tampered) terminal.progress(`${one} was tampered with, and no retry takes that away`)
  if (options.dryRun === true) {
    for (const one of streams) terminal.progress(`Would retry ${one} at ${connection.url}`)
    if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, streams }))
    return
  }
  const results: JsonObject[] = []
  const failures = [...tampered]
  for (const one of streams) {
    try {
      const body = options.reason === undefined ? {} : { reason: options.reason }
      const result = await callApi(connection, 'POST', pathOf(options.projection, one, 'retry'), body)
      results.push(result)
      tell(terminal, one, result)
      if (result.outcome === 'parked') failures.push(one)
    } catch (error) {
      // Of many, one that has been seen to meanwhile must not keep the others.
      if (options.all !== true || !(error instanceof CommandFailed)) throw error
      terminal.progress(`${one}: ${error.message}`)
      failures.push(one)
    }
  }
  if (options.json === true) {
    terminal.data(JSON.stringify(options.all === true ? { retried: results } : results[0]))
  } else if (found.length === 0) terminal.progress('Nothing is parked')
  if (failures.length > 0) throw new CommandFailed(`Not folded: ${failures.join(', ')}`)
}

export function skipCommand(): Command {
  return ofProjection(
    new Command('skip')
      .description('Pass over the event a stream is parked at, for good')
      .argument('<stream>', 'as `parked` lists it'),
  )
    .requiredOption('--revision <n>', 'of the event: the one that `parked` lists', revisionOf)
    .requiredOption('--reason <text>', 'kept with it in the log')
    .option('--dry-run', 'say what would be skipped, and skip nothing')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      `
The event stays in the log, and so does the skip: a rebuild makes the same rows. What the event says is missing from what
people read. The stream is folded on from the next event, and parked again where that fails.
An event whose stream has the reason \`tampered\` is not skipped: put the events back as they were appended, then rebuild.

Examples
  $ waybill projections skip operation-op-17 --revision 3 --reason 'written by 1.3.0'
  $ waybill projections skip operation-op-17 --revision 3 --reason 'written by 1.3.0' --yes --json`,
    )
    .action(skip)
}

async function skip(stream: string, options: SkipOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  const { revision, reason, projection } = options
  if (options.dryRun === true) {
    terminal.progress(`Would skip event ${revision} of ${stream} at ${connection.url}`)
    if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, stream, revision, reason }))
    return
  }
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('Nobody can be asked here: say --yes')
    const sure = await terminal.confirm(`Pass over event ${revision} of ${stream} at ${connection.url}, for good?`)
    if (!sure) throw new CommandFailed('Nothing was skipped')
  }
  const result = await callApi(connection, 'POST', pathOf(projection, stream, 'skip'), { revision, reason })
  if (options.json === true) terminal.data(JSON.stringify(result))
  terminal.progress(`Skipped event ${revision} of ${stream}`)
  tell(terminal, stream, result)
}

function pathOf(projection: string, stream: string, verb: 'retry' | 'skip'): string {
  return `v1/projections/${encodeURIComponent(projection)}/parked/${encodeURIComponent(stream)}/${verb}`
}

function tell(terminal: Terminal, stream: string, { outcome, parked: place }: JsonObject): void {
  if (outcome === 'unparked') terminal.progress(`${stream} is folded, and goes on`)
  else if (outcome === 'pending') terminal.progress(`${stream}: recorded; it is done once the projection gets there`)
  else if (isObject(place)) {
    const { revision, reason, detail } = place
    terminal.progress(`${stream} is parked at event ${String(revision)}: ${String(reason)}, ${String(detail)}`)
  }
}

function revisionOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new WrongUsage(`${text} is not a revision: a number from 0`)
  return Number(text)
}
