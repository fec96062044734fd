import { parseArgs } from 'node:util'
import { roles } from './plan.ts'
import { readAddress, type ServiceAddress } from './serviceAddress.ts'
import { UsageError } from './usageError.ts'

export const usage = `Usage: npm run demo -- [options]

Ten simulated services push real webhook documents through a pipeline with parallel tracks, late, twice and out of
order, while readers read. At the end everything is read back over HTTP and compared with what was sent.

Options
  --operations N   documents to push through (default 3000)
  --services N     clients, ${roles.length} or more; they share the ${roles.length} roles (default ${roles.length})
  --window N       operations under way at once (default 200)
  --readers N      concurrent readers (default 4)
  --seed N         repeat the plan of an earlier run (default: a new one, which is printed)
  --url URL        use a running Waybill instead of starting one (or WAYBILL_URL)
  --key-file FILE  its key, with the roles service, definer, viewer and auditor (or WAYBILL_KEY_FILE, or WAYBILL_KEY)
  --json           print the verdict as JSON
  --help

Exit code: 0 proved, 1 a fault was found or the run failed, 2 wrong usage

Examples
  npm run demo
  npm run demo -- --operations 300 --seed 7
  WAYBILL_URL=http://localhost:8080 npm run demo
`

export interface DemoOptions {
  readonly operations: number
  readonly services: number
  readonly window: number
  readonly readers: number
  readonly seed: number
  /** Null: start a Waybill of our own. */
  readonly waybill: ServiceAddress | null
  readonly json: boolean
}

/** Null when help is asked for. Throws UsageError. */
export function readOptions(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  const { values } = parse(args)
  if (values.help === true) return null
  const options: DemoOptions = {
    operations: integer('operations', values.operations, 3_000, 1, 1_000_000),
    services: integer('services', values.services, roles.length, roles.length, 1_000),
    window: integer('window', values.window, 200, 1, 100_000),
    readers: integer('readers', values.readers, 4, 0, 1_000),
    seed: integer('seed', values.seed, Math.floor(Math.random() * 2 ** 31), 0, 2 ** 32 - 1),
    waybill: readAddress(values, env),
    json: values.json ?? false,
  }
  return options
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        operations: { type: 'string' },
        services: { type: 'string' },
        window: { type: 'string' },
        readers: { type: 'string' },
        seed: { type: 'string' },
        url: { type: 'string' },
        'key-file': { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function integer(name: string, text: string | undefined, standard: number, min: number, max: number): number {
  if (text === undefined) return standard
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name} takes an integer from ${min} to ${max}, not ${text}`)
  }
  return value
}
