import type { Logger } from 'pino'
import { environmentSchema } from './config/environmentSchema.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { whenOutputFails } from './runtime/closedPipe.ts'
import { boundHeapGrowth } from './runtime/heapGrowth.ts'
import { createLogOutput } from './runtime/logOutput.ts'
import type { Service } from './service.ts'
import { version } from './version.ts'

const usage = `Waybill ${version}: records where each of your JSON documents is.

Usage: npm start, waybill serve, or node dist/main.js
  The service runs until SIGTERM or SIGINT; a second signal ends it at once.
  -h, --help      show this text
  -v, --version   show the version

Environment variables (docs/configuration.md lists all of them):
${(['WAYBILL_HOST', 'WAYBILL_PORT', 'WAYBILL_DATA_DIR', 'DATABASE_URL', 'EVENTSTORE_URL'] as const).map(describe).join('\n')}

Exit codes: 0 stopped in order, 1 failed, 2 wrong usage or configuration.
`

function describe(name: keyof typeof environmentSchema.shape): string {
  const description = environmentSchema.shape[name].meta()?.description ?? ''
  return `  ${name.padEnd(17)} ${description}`
}

const say = (text: string) => process.stdout.write(`${text}\n`)
const complain = (text: string) => process.stderr.write(`${text}\n`)

const byNpm: ReadonlySet<string> = new Set(['start', 'npx'])
const parentCheckMs = 250
/** What was under way when the database ended comes to no good end by waiting: a supervisor shall start us again soon. */
const failedStopMsMax = 500

/** Runs the service until it is told to stop; the process's exit code says how it ended. */
export async function serve([argument]: readonly string[]): Promise<void> {
  // It serves on, whoever has stopped listening to what it says.
  for (const stream of [process.stdout, process.stderr]) whenOutputFails(stream, () => undefined)
  if (argument === '-h' || argument === '--help') return void say(usage)
  if (argument === '-v' || argument === '--version') return void say(version)
  if (argument !== undefined) return giveUp(2, `Unknown argument ${argument}; see --help`)

  let config: Config
  try {
    config = readConfig(process.env, { toServe: true })
  } catch (error) {
    if (error instanceof ConfigError) return giveUp(2, error.message)
    throw error
  }
  boundHeapGrowth(config.heapGrowthPercent)
  for (const warning of config.warnings) complain(`Warning: ${warning}`)

  // Signals count from the beginning: one that comes during the start stops what was started so far.
  const stopAsked = new Promise<string>((resolve) => {
    let seen = false
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (seen) process.exit(1)
        seen = true
        resolve(signal)
      })
    }
    // npm and npx pass a signal on to the shell they run us in, and that shell does not pass it on.
    if (byNpm.has(process.env.npm_lifecycle_event ?? '')) {
      const parent = process.ppid
      setInterval(() => process.ppid !== parent && resolve('the end of npm'), parentCheckMs).unref()
    }
  })

  // The rest is loaded once it is known that there is something to start.
  const logger = await createLogger(config)
  const { FailedWritesError, startService } = await import('./service.ts')
  let service: Service
  try {
    service = await startService({ config, logger, progress: (message) => say(message) })
  } catch (error) {
    if (error instanceof ConfigError) return giveUp(2, error.message)
    const { startupError } = await import('./startupError.ts')
    const sentence = startupError(error, config)
    if (sentence === null) logger.fatal({ err: error }, 'the service could not start')
    return giveUp(1, sentence ?? 'Waybill could not start.')
  }
  say(startText(service))

  const reason = await Promise.race([stopAsked, service.failed.catch((error: unknown) => error)])
  const failure = reason instanceof Error ? reason : null
  if (failure !== null) logger.fatal({ err: failure }, 'the service cannot go on')
  else say('Stopping')
  const failureText = failure === null ? null : `Waybill stopped: ${failure.message}`
  const late = setTimeout(
    () => {
      complain(failureText ?? 'The orderly shutdown took too long; what was left is cut off.')
      process.exit(1)
    },
    failure === null || failure instanceof FailedWritesError ? config.shutdownMsMax : failedStopMsMax,
  )
  await service.stop()
  clearTimeout(late)
  if (failureText !== null) return giveUp(1, failureText)
  say('Stopped')
  process.exit(0)
}

function giveUp(code: number, message: string): void {
  complain(message)
  process.exitCode = code
  // What was started is stopped by now; a stray handle must not keep a failed process alive.
  setTimeout(() => process.exit(code), 1_000).unref()
}

async function createLogger(config: Config): Promise<Logger> {
  const { pino } = await import('pino')
  const options = { level: config.logLevel, base: null }
  if (!process.stdout.isTTY) return pino(options, createLogOutput(process.stdout))
  const { default: pinoPretty } = await import('pino-pretty')
  return pino(options, pinoPretty())
}

function startText({ url, storage, keysNeeded }: Service): string {
  const body = `{"service":"demo","status":"started","pipeline":"any"}`
  const access = keysNeeded
    ? 'with a key: Authorization: Bearer <key>'
    : 'everybody who reaches it may do everything, until there is a key: npx waybill keys create NAME --role operator'
  const key = keysNeeded ? ` -H "authorization: Bearer $WAYBILL_KEY"` : ''
  return [
    '',
    `Waybill ${version} listens on ${url}`,
    `  Documentation  ${url}/docs`,
    `  Data           ${storage}`,
    `  Access         ${access}`,
    '  Try it:',
    `  curl -s ${url}/v1/operations/op-1/reports -H 'content-type: application/json'${key} -d '${body}'`,
    '',
  ].join('\n')
}
