// What the command line says. Beside the options of all figures there is one for each size of a figure, by its name.
import { parseArgs } from 'node:util'
import { figures } from './figures/figures.mjs'
import { chooseLoader } from './load/closedLoop.mjs'

export class UsageError extends Error {}

export function usage() {
  const lines = figures.map(({ name, title, sizes }) => {
    const own = Object.entries(sizes).map(([size, value]) => `--${size} ${value}`)
    return `  ${name.padEnd(10)} ${title}\n             ${own.join(' ')}`
  })
  return `Usage: npm run bench -- [FIGURE ...] [options]

Measures Waybill beside a bare Fastify route, a service of one UPDATE a report, Emmett, and EventStoreDB where EVENTSTORE_URL
names one: in one run on this machine, turn by turn, durability on for all. Without a FIGURE: all of them (an hour and a half).

Figures, and the sizes that can be set (their defaults)
${lines.join('\n')}

Options
  --smoke          every figure in tiny sizes, two at a time, in a minute; fails when one breaks. Its numbers mean nothing
  --data DIR       where the figures of size keep their data; used again when it is filled already. Default: none is kept
  --loader NAME    wrk or autocannon; default: wrk when installed
  --against COMMIT the figure older builds it, once, and runs it beside today's build
  --with-key       Waybill asks for an access key, and every request to every party carries one
  --help

Exit code: 0 measured, whatever was reached; 1 a figure broke (an error response breaks it, and so does a store that does not
hold what was acknowledged); 2 wrong usage
`
}

/** Throws UsageError. */
export function readOptions(args) {
  const { values, positionals } = parse(args)
  for (const name of positionals) {
    if (!figures.some((figure) => figure.name === name)) throw new UsageError(`no such figure: ${name}`)
  }
  const loader = values.loader ?? chooseLoader()
  if (loader !== 'wrk' && loader !== 'autocannon') throw new UsageError(`no such loader: ${loader}`)
  const names = positionals.length === 0 ? figures.map(({ name }) => name) : positionals
  const smoke = values.smoke ?? false
  const sizes = {}
  for (const figure of figures) {
    sizes[figure.name] = { ...figure.sizes, ...(smoke ? figure.smoke : {}) }
    for (const [size, standard] of Object.entries(figure.sizes)) {
      if (values[size] !== undefined) sizes[figure.name][size] = readSize(size, values[size], standard)
    }
  }
  return {
    help: values.help ?? false,
    names,
    smoke,
    loader,
    withKey: values['with-key'] ?? false,
    against: values.against ?? null,
    dataDir: values.data ?? null,
    sizes,
  }
}

function parse(args) {
  const options = {
    smoke: { type: 'boolean' },
    data: { type: 'string' },
    loader: { type: 'string' },
    'with-key': { type: 'boolean' },
    against: { type: 'string' },
    help: { type: 'boolean' },
  }
  for (const { sizes } of figures) for (const size of Object.keys(sizes)) options[size] = { type: 'string' }
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error.message)
  }
}

function readSize(name, text, standard) {
  const list = Array.isArray(standard)
  const values = (list ? text.split(',') : [text]).map(Number)
  if (values.some((value) => !Number.isInteger(value) || value < 1)) {
    throw new UsageError(`--${name}: ${list ? 'positive integers, with commas between' : 'a positive integer'}`)
  }
  return list ? values : values[0]
}
