import { Command, Option } from 'commander'
import { readConnection } from './connection.ts'
import { type Connection, callApi, isObject, type JsonObject } from './httpApi.ts'
import { CommandFailed, WrongUsage } from './outcome.ts'
import { makeSecretFile } from './secretFile.ts'
import { type ChangeOptions, type SharedOptions, shared } from './sharedOptions.ts'
import { createTerminal, table } from './terminal.ts'

const roles = ['service', 'definer', 'viewer', 'auditor', 'operator']

/** `waybill keys`: the access keys of a running service. */
export function keysCommand(): Command {
  return new Command('keys')
    .description('Manage the access keys of a running service, which decide who may do what')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand())
    .addHelpText(
      'after',
      `
Roles
  service    may send commands: open operations and report
  definer    may define pipelines
  viewer     may query operations, pipelines, counts and metrics
  auditor    may read the log and the history of operations
  operator   may do all of this, and manage keys and projections

Examples
  $ waybill keys create admin --role operator
  $ waybill keys list
  $ waybill keys revoke ocr --yes`,
    )
}

function createCommand(): Command {
  const command = new Command('create')
    .description('Make a key and write it to a file or to standard output. It cannot be shown again')
    .argument('<name>', 'who uses the key; it becomes the actor of all events that its requests cause')
    .addOption(
      new Option('--role <role...>', 'what the key may do; you can give several roles')
        .choices(roles)
        .makeOptionMandatory(),
    )
    .option('--service <service...>', 'bind the key to reports of these services (16 at most; default: all)')
    .option('--pipeline <pipeline...>', 'bind the key to operations and definitions of these pipelines (the same)')
    .option('--out <file>', 'write the key to this new file, which only you can read (default: standard output)')
  return shared(command)
    .option('--dry-run', 'say what would be made, but make nothing')
    .addHelpText(
      'after',
      `
Examples
  Make the first key on the machine where the service runs (it must be an operator's):
    $ waybill keys create admin --role operator --out admin.key
  Make a key for a service, and write it to a file:
    $ WAYBILL_KEY_FILE=admin.key waybill keys create ocr --role service --out ocr.key
  Make a key that may report for one service only, and into one pipeline only:
    $ waybill keys create scanner --role service --service scanner --pipeline invoice --out scanner.key
  Make a key that may both report and read:
    $ waybill keys create erp --role service viewer --key-file admin.key --json`,
    )
    .action(create)
}

interface CreateOptions extends ChangeOptions {
  readonly role: readonly string[]
  readonly service?: readonly string[]
  readonly pipeline?: readonly string[]
  readonly out?: string
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  const { role, service, pipeline } = options
  const asked = {
    name,
    roles: [...new Set(role)],
    ...(service === undefined ? {} : { services: [...new Set(service)] }),
    ...(pipeline === undefined ? {} : { pipelines: [...new Set(pipeline)] }),
  }
  const described = `the key ${name} (${[asked.roles.join(', '), ...boundTo(asked)].join('; ')})`
  if (options.dryRun === true) {
    terminal.progress(`Would make ${described} at ${connection.url}`)
    if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, ...asked }))
    return
  }
  const { key, ...record } = await make(connection, asked, options.out)
  const inFile = options.out !== undefined
  if (options.json === true) terminal.data(JSON.stringify(inFile ? record : { ...record, key }))
  else if (!inFile) terminal.data(key)
  terminal.progress(
    inFile ? `Made ${described}. It is in ${options.out}.` : `Made ${described}. Keep it now: it is not shown again.`,
  )
}

/** The key that was made, in its file already where it shall be in one. */
async function make(
  connection: Connection,
  asked: JsonObject,
  out: string | undefined,
): Promise<JsonObject & { readonly key: string }> {
  const file = out === undefined ? null : makeSecretFile(out)
  let made: JsonObject
  try {
    made = await callApi(connection, 'POST', 'v1/keys', asked)
    if (typeof made.key !== 'string') throw new CommandFailed('The service answered without a key')
  } catch (error) {
    file?.remove()
    throw error
  }
  file?.write(`${made.key}\n`)
  return { ...made, key: made.key }
}

/** What a key is bound to, for a person: `service ocr`. Empty: to nothing. */
function boundTo({ services, pipelines }: JsonObject): string[] {
  return [...boundNames('service', services), ...boundNames('pipeline', pipelines)]
}

function boundNames(what: string, names: unknown): string[] {
  return Array.isArray(names) ? [`${what} ${names.join(', ')}`] : []
}

function listCommand(): Command {
  return shared(new Command('list').description('List the keys in force, without the keys themselves'))
    .addHelpText(
      'after',
      `
Examples
  $ waybill keys list --key-file admin.key
  $ waybill keys list --json | jq -r '.keys[].name'`,
    )
    .action(list)
}

async function list(options: SharedOptions): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  const keys: JsonObject[] = []
  let pageToken = ''
  do {
    const next = pageToken === '' ? '' : `&pageToken=${encodeURIComponent(pageToken)}`
    const page = await callApi(connection, 'GET', `v1/keys?pageSize=1000${next}`)
    keys.push(...(Array.isArray(page.keys) ? page.keys.filter(isObject) : []))
    pageToken = typeof page.nextPageToken === 'string' ? page.nextPageToken : ''
  } while (pageToken !== '')
  if (options.json === true) return terminal.data(JSON.stringify({ keys }))
  if (keys.length === 0) return terminal.progress('No keys')
  const rows = keys.map((key) => [
    String(key.name),
    Array.isArray(key.roles) ? key.roles.join(',') : '',
    String(key.createdAt),
    String(key.createdBy),
    String(key.id),
    boundTo(key).join('; '),
  ])
  const [heading = '', ...lines] = table([['NAME', 'ROLES', 'CREATED', 'BY', 'ID', 'BOUND TO'], ...rows])
  terminal.data([terminal.bold(heading), ...lines].join('\n'))
}

function revokeCommand(): Command {
  return shared(
    new Command('revoke')
      .description('Revoke a key. Within two seconds no node accepts it')
      .argument('<name>', 'the name of the key'),
  )
    .option('--dry-run', 'say what would be revoked, but revoke nothing')
    .option('--yes', 'do not ask for confirmation')
    .addHelpText(
      'after',
      `
Examples
  $ waybill keys revoke ocr --key-file admin.key
  $ waybill keys revoke ocr --key-file admin.key --yes --quiet
  Replace a key and keep its name:
    $ waybill keys revoke ocr --yes && waybill keys create ocr --role service --out new-ocr.key`,
    )
    .action(revoke)
}

async function revoke(name: string, options: ChangeOptions & { readonly yes?: boolean }): Promise<void> {
  const terminal = createTerminal(process.env, options.quiet === true)
  const connection = readConnection(options, process.env)
  if (options.dryRun === true) {
    terminal.progress(`Would revoke the key ${name} at ${connection.url}`)
    if (options.json === true) terminal.data(JSON.stringify({ dryRun: true, name }))
    return
  }
  if (options.yes !== true) {
    if (!terminal.asks) throw new WrongUsage('There is no terminal to ask for confirmation: pass --yes')
    const sure = await terminal.confirm(`Revoke the key ${name} at ${connection.url}?`)
    if (!sure) throw new CommandFailed('Nothing was revoked')
  }
  await callApi(connection, 'DELETE', `v1/keys/${encodeURIComponent(name)}`)
  if (options.json === true) terminal.data(JSON.stringify({ name, revoked: true }))
  terminal.progress(`Revoked the key ${name}`)
}
