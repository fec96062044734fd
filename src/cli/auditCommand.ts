import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { readConnection } from './connection.ts'
import { type Connection, callApi, isObject, type JsonObject } from './httpApi.ts'
import { WrongUsage } from './outcome.ts'
import { type SharedOptions, shared } from './sharedOptions.ts'
import { createTerminal, type Terminal, table } from './terminal.ts'

const limitMax = 10_000
const followSMax = 86_400
const pollMs = 1_000

interface AuditOptions extends SharedOptions {
  readonly from?: number
  readonly limit: number
  readonly follow?: number
}

/** `waybill audit`: what operators did, by the log of a running service. */
export function auditCommand(): Command {
  return shared(
    new Command('audit').description(
      'List what operators did: keys made and revoked, projections paused, rebuilt and repaired; who asked, from where, when',
    ),
    "an auditor's or operator's",
  )
    .option('--limit <n>', `at most so many acts, 1 to ${limitMax}`, numberOf('limit', 1, limitMax), 100)
    .option('--from <revision>', 'the first act to list (default: as many as --limit says, up to the last)', revision)
    .option(
      '--follow <seconds>',
      `then wait so long for further acts, and list each as it comes: 1 to ${followSMax}`,
      numberOf('follow', 1, followSMax),
    )
    .addHelpText(
      'after',
      `
The oldest act comes first. With --json each act is a line: the event as the log has it, with its hash. With --follow the
command ends when the time is over, or when as many acts have followed as --limit says.

Examples
  $ waybill audit --key-file auditor.key
  All acts, some at a time: the first ones, and what standard error then says to go on with:
    $ waybill audit --from 0 --limit 1000 --json > acts.ndjson
  Who made or revoked keys:
    $ waybill audit --limit 10000 --json | jq -r 'select(.data.action | startswith("keys.")) | [.metadata.recordedAt, .metadata.actor, .data.action, .data.target] | @tsv'
  Watch for an hour:
    $ waybill audit --limit 20 --follow 3600`,
    )
    .action(audit)
}

async function audit(options: AuditOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  const acts =
    options.from === undefined
      ? await lastActs(connection, options.limit)
      : await actsFrom(connection, options.from, options.limit)
  const show = createList(terminal, options.json === true)
  show(acts)
  const next = Math.max(options.from ?? 0, ...acts.map((act) => Number(act.revision) + 1))
  if (options.follow !== undefined) return follow(connection, next, options.limit, options.follow, show)
  if (acts.length === 0) terminal.progress('No acts')
  else if (options.from !== undefined && acts.length === options.limit) {
    terminal.progress(`Go on with --from ${next}`)
  }
}

/** Ends when the time is over, or with so many acts. */
async function follow(
  connection: Connection,
  from: number,
  limit: number,
  followS: number,
  show: (acts: readonly JsonObject[]) => void,
): Promise<void> {
  const untilMs = performance.now() + followS * 1_000
  for (let next = from, left = limit; ; ) {
    const acts = await actsFrom(connection, next, left)
    show(acts)
    next += acts.length
    left -= acts.length
    const waitMs = Math.min(pollMs, untilMs - performance.now())
    if (left === 0 || waitMs <= 0) return
    await sleep(waitMs)
  }
}

/** In order, up to `limit`. Revisions of a stream have no gaps. */
async function actsFrom(connection: Connection, from: number, limit: number): Promise<JsonObject[]> {
  const acts: JsonObject[] = []
  while (acts.length < limit) {
    const page = await actsOf(connection, `fromRevision=${from + acts.length}`)
    acts.push(...page.slice(0, limit - acts.length))
    if (page.length === 0) break
  }
  return acts
}

/** In order, though they are read backwards. */
async function lastActs(connection: Connection, limit: number): Promise<JsonObject[]> {
  const acts: JsonObject[] = []
  for (let query = 'direction=backwards'; acts.length < limit; ) {
    const page = await actsOf(connection, query)
    acts.push(...page.slice(0, limit - acts.length))
    const oldest = Number(page.at(-1)?.revision ?? 0)
    if (oldest === 0) break
    query = `direction=backwards&fromRevision=${oldest - 1}`
  }
  return acts.reverse()
}

async function actsOf(connection: Connection, query: string): Promise<JsonObject[]> {
  const { events } = await callApi(connection, 'GET', `v1/audit?${query}`)
  return Array.isArray(events) ? events.filter(isObject) : []
}

const heading = ['TIME', 'REVISION', 'BY', 'ADDRESS', 'ACTION', 'TARGET', 'DETAILS']

/** Of lines that come later, the columns are as wide as before, unless something is wider. */
function createList(terminal: Terminal, json: boolean): (acts: readonly JsonObject[]) => void {
  const widths: number[] = []
  let headed = false
  return (acts) => {
    if (acts.length === 0) return
    if (json) return terminal.data(acts.map((act) => JSON.stringify(act)).join('\n'))
    const lines = table([...(headed ? [] : [heading]), ...acts.map(row)], widths)
    if (!headed) lines[0] = terminal.bold(lines[0] ?? '')
    headed = true
    terminal.data(lines.join('\n'))
  }
}

function row({ revision: at, data, metadata }: JsonObject): string[] {
  const act = isObject(data) ? data : {}
  const { recordedAt, actor } = isObject(metadata) ? metadata : {}
  const by = isObject(act.by) ? act.by : {}
  const cells = [recordedAt, at, actor, by.address ?? '-', act.action, act.target, details(act, by)]
  return cells.map((cell) => visible(String(cell)))
}

function details(
  { key, roles, services, pipelines, stream, revision: at, reason }: JsonObject,
  by: JsonObject,
): string {
  const list = (values: unknown) => (Array.isArray(values) ? values.join(',') : undefined)
  const named = {
    key,
    roles: list(roles),
    services: list(services),
    pipelines: list(pipelines),
    stream,
    revision: at,
    reason,
    with: by.key ?? undefined,
  }
  const found = Object.entries(named).filter(([, value]) => value !== undefined)
  return found.map(([name, value]) => `${name}=${String(value)}`).join(' ')
}

/** What a person wrote is shown as it is, but moves no cursor and turns no line around. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\ufffd')
}

function revision(text: string): number {
  return numberOf('from', 0, Number.MAX_SAFE_INTEGER)(text)
}

function numberOf(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new WrongUsage(`--${option} takes a whole number from ${min} to ${max}, and not ${text}`)
  }
}
