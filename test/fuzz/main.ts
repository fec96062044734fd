import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { NodeProcess } from '../nodes/support/nodeProcess.ts'
import { makeRunFolder, removeRunFolder } from '../support/runFolder.ts'
import { fuzz } from './fuzz.ts'
import type { FoundFault } from './fuzzReport.ts'

// npm run fuzz: a service of its own, and what nobody should send it. Built as the fault runs are (scripts/buildFaults.mjs).

const built = fileURLToPath(new URL('../../', import.meta.url))
const operatorKey = 'fuzz-operator-key-0123456789abcdefghijklmnop'

const waitMsMax = 1_000
/**
 * A request takes some milliseconds, and with hundreds beside it some tens; one that takes a second whenever it is sent
 * keeps everybody else from being answered.
 */
const requestMsMax = 1_000

/** Limits are drawn in, so that they are met, and nothing waits for long. */
const environment = {
  WAYBILL_OPERATOR_KEY: operatorKey,
  WAYBILL_LOG_LEVEL: 'error',
  WAYBILL_BODY_BYTES_MAX: '65536',
  WAYBILL_DATA_BYTES_MAX: '4096',
  WAYBILL_METADATA_BYTES_MAX: '1024',
  WAYBILL_HELD_COUNT_MAX: '5',
  WAYBILL_PAGE_SIZE_MAX: '20',
  WAYBILL_WAIT_S_MAX: String(waitMsMax / 1_000),
  WAYBILL_HEADERS_MS_MAX: '2000',
  WAYBILL_BODY_MS_MAX: '2000',
  WAYBILL_BULK_IDLE_MS_MAX: '2000',
}

/** Somebody asked for a pause meanwhile. */
const abandoned = 'the rebuild was abandoned'

interface Options {
  readonly seconds?: number
  readonly requests?: number
  readonly seed: number
  readonly from: number
}

const program = new Command('fuzz')
  .description(
    'Sends a service requests that are made from its OpenAPI document and wrong in all ways; judges every answer.',
  )
  .showHelpAfterError()
  .option('--seconds <number>', 'how long', integer)
  .option('--requests <number>', 'how many (default: 100000, without --seconds)', integer)
  .option('--seed <number>', 'the same seed makes the same requests', integer, Date.now() % 1_000_000)
  .option('--from <number>', 'number of the first request of those', integer, 0)
  .addHelpText(
    'after',
    `
Examples:
  npm run fuzz -- --seconds 45
  npm run fuzz -- --requests 1000000 --seed 7
  npm run fuzz -- --seed 7 --from 53250 --requests 250

Exit codes: 0 no fault, 1 faults or a run that failed, 2 wrong usage.`,
  )
  .action(run)

async function run({ seconds, requests, seed, from }: Options): Promise<void> {
  const scratch = await makeRunFolder('waybill-fuzz')
  process.on('exit', () => removeRunFolder(scratch))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
  const dataDir = join(scratch, 'data')
  await mkdir(dataDir, { mode: 0o711 })
  const service = { directory: built, program: join(built, 'src', 'main.js') }
  const node = await new NodeProcess(service, 'node', { ...environment, WAYBILL_DATA_DIR: dataDir }).ready(60_000)
  process.stderr.write(`seed ${seed}\n`)
  const { faults, ...figures } = await fuzz({
    port: Number(new URL(node.url).port),
    operatorKey,
    seed,
    from,
    requests: requests ?? (seconds === undefined ? 100_000 : null),
    seconds: seconds ?? null,
    requestMsMax,
    waitMsMax,
    progress: (line) => void process.stderr.write(`${line}\n`),
  })
  const isRunning = node.isRunning
  await node.stop()
  // Everything that goes wrong inside is on record there.
  const logged = node.output
    .split('\n')
    .filter((line) => /"level":(?:50|60)|^Error|^\s+at /.test(line) && !line.includes(abandoned))
  for (const fault of faults) process.stdout.write(`\n${faultText(fault, seed)}\n`)
  for (const line of logged.slice(0, 10)) process.stdout.write(`\nlogged by the service: ${line.slice(0, 1_000)}\n`)
  if (!isRunning) process.stdout.write(`\nthe service has ended: ${node.output.slice(-2_000)}\n`)
  process.stdout.write(
    `\n${JSON.stringify({ ...figures, perSecond: Math.round(figures.requests / figures.seconds), faults: faults.length })}\n`,
  )
  process.exit(faults.length === 0 && logged.length === 0 && isRunning ? 0 : 1)
}

function faultText(fault: FoundFault, seed: number): string {
  return [
    `FAULT ${fault.kind} (${fault.operation}), request ${fault.request}: ${fault.detail}`,
    `  shrunk ${fault.shrinks} times, to:`,
    `  ${fault.command}`,
    `  again: npm run fuzz -- --seed ${seed} --from ${fault.request} --requests 1`,
  ].join('\n')
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be an integer from 0')
  return value
}

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
}
