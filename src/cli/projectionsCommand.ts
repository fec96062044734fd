import { Command } from 'commander'
import { readConnection } from './connection.ts'
import { callApi, isObject, type JsonObject } from './httpApi.ts'
import { CommandFailed } from './outcome.ts'
import { parkedCommand, retryCommand, skipCommand } from './parkedCommands.ts'
import { Progress } from './progress.ts'
import { type ChangeOptions, type SharedOptions, shared } from './sharedOptions.ts'
import { createTerminal, table } from './terminal.ts'

const pollMs = 500

/** `waybill projections`: how the read model is made, at a running service. */
export function projectionsCommand(): Command {
  return new Command('projections')
    .description('How the read model of a running service is made, and what to do about it')
    .addCommand(listCommand())
    .addCommand(rebuildCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(parkedCommand())
    .addCommand(retryCommand())
    .addCommand(skipCommand())
    .addHelpText(
      'after',
      `
Any node takes these; the node that projects does them.

Examples
  $ waybill projections list
  $ waybill projections parked
  $ waybill projections retry operation-op-17
  $ waybill projections skip operation-op-17 --revision 3 --reason 'written by 1.3.0'
  $ waybill projections rebuild`,
    )
}

function listCommand(): Command {
  return shared(new Command('list').description('All projections: where each stands, who has it, what is set aside'))
    .addHelpText(
      'after',
      `
Examples
  $ waybill projections list --key-file admin.key
  $ waybill projections list --json | jq '.projections[].lagEvents'`,
    )
    .action(list)
}

async function list(options: SharedOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  const { projections } = await callApi(connection, 'GET', 'v1/projections')
  const found = Array.isArray(projections) ? projections.filter(isObject) : []
  if (options.json === true) return terminal.data(JSON.stringify({ projections: found }))
  const rows = found.map((projection) => [
    String(projection.name),
    stateText(projection),
    `${String(projection.lagEvents)} events`,
    parkedText(projection),
    isObject(projection.owner) ? String(projection.owner.node) : '-',
    String(projection.epoch),
  ])
  const [heading = '', ...lines] = table([['NAME', 'STATE', 'LAG', 'PARKED', 'OWNER', 'EPOCH'], ...rows])
  terminal.data([terminal.bold(heading), ...lines].join('\n'))
}

function parkedText({ parked, tampered }: JsonObject): string {
  return Number(tampered) > 0 ? `${String(parked)}, tampered with: ${String(tampered)}` : String(parked)
}

function stateText({ state, paused, rebuild }: JsonObject): string {
  if (state === 'paused' && isObject(paused)) return `paused by ${String(paused.by)} since ${String(paused.since)}`
  if (state === 'rebuilding' && isObject(rebuild))
    return `rebuilding (${String(rebuild.done)} of ${String(rebuild.total)})`
  return String(state)
}

function rebuildCommand(): Command {
  return shared(
    new Command('rebuild')
      .description('Fold the whole log anew; reads see the rows as they were until it is done')
      .argument('[projection]', 'which one', 'operations'),
  )
    .option('--no-wait', 'ask for it, and do not wait for its end')
    .option('--dry-run', 'say what would be done, and do nothing')
    .addHelpText(
      'after',
      `
It goes on when this command is broken off, and is begun anew by another node when the one that does it ends.

Examples
  $ waybill projections rebuild
  $ waybill projections rebuild --no-wait --json`,
    )
    .action(rebuild)
}

async function rebuild(name: string, options: ChangeOptions & { readonly wait: boolean }): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  if (options.dryRun === true) {
    terminal.progress(`Would rebuild ${name} at ${connection.url}`)
    if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, projection: name }))
    return
  }
  const path = `v1/projections/${encodeURIComponent(name)}`
  let current = await callApi(connection, 'POST', `${path}/rebuild`, {})
  terminal.progress(`Asked for the rebuild ${String(current.id)}`)
  const progress = new Progress(terminal, 'events')
  try {
    while (options.wait && current.endedAt === null) {
      await new Promise((resolve) => setTimeout(resolve, pollMs))
      current = await callApi(connection, 'GET', `${path}/rebuilds/${String(current.id)}`)
      if (current.endedAt === null) progress.show({ done: Number(current.done), total: Number(current.total) })
    }
  } finally {
    progress.end()
  }
  if (options.json === true) terminal.data(JSON.stringify(current))
  if (current.outcome === 'failed') throw new CommandFailed(`The rebuild failed: ${String(current.problem)}`)
  if (current.outcome !== 'done') return
  terminal.progress(`Rebuilt ${name}: ${String(current.done)} events`)
  const { tampered } = await callApi(connection, 'GET', path)
  if (Number(tampered) > 0) {
    terminal.progress(`Streams that were tampered with, and are set aside: ${String(tampered)}; see \`parked\``)
  }
}

function pauseCommand(): Command {
  return changing('pause', 'Fold nothing more, on any node, until resumed; commands and reads go on').action(
    change('pause', 'Paused', 'what is read stays as of now'),
  )
}

function resumeCommand(): Command {
  return changing('resume', 'Go on after a pause').action(change('resume', 'Resumed', 'it goes on within a second'))
}

function changing(verb: string, description: string): Command {
  return shared(new Command(verb).description(description).argument('[projection]', 'which one', 'operations'))
    .option('--dry-run', 'say what would be done, and do nothing')
    .addHelpText(
      'after',
      `
Repeating it changes nothing.

Examples
  $ waybill projections ${verb}
  $ waybill projections ${verb} operations --json`,
    )
}

function change(verb: 'pause' | 'resume', done: string, meaning: string) {
  return async (name: string, options: ChangeOptions): Promise<void> => {
    const terminal = createTerminal(process.env, options.quiet === true)
    const connection = readConnection(options, process.env)
    if (options.dryRun === true) {
      terminal.progress(`Would ${verb} ${name} at ${connection.url}`)
      if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, projection: name }))
      return
    }
    const now = await callApi(connection, 'POST', `v1/projections/${encodeURIComponent(name)}/${verb}`, {})
    if (options.json === true) terminal.data(JSON.stringify(now))
    terminal.progress(`${done} ${name}: ${meaning} (${String(now.lagEvents)} events behind)`)
  }
}
