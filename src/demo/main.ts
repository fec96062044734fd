import { setTimeout as delay } from 'node:timers/promises'
import { createWaybillClient, type WaybillClient } from '../client/client.ts'
import { whenOutputFails } from '../runtime/closedPipe.ts'
import { loadDocuments } from './documents.ts'
import { follow } from './follower.ts'
import { type DemoOptions, readOptions, usage } from './options.ts'
import { type OwnWaybill, startOwnWaybill } from './ownWaybill.ts'
import { definition, tracks } from './pipeline.ts'
import { createPaint, createProgressView, describeProgress, type ProgressView, thousands } from './progress.ts'
import { createFindings } from './proof/findings.ts'
import { prove } from './proof/prove.ts'
import { createRandom } from './random.ts'
import { startReaders } from './readers.ts'
import type { ServiceAddress } from './serviceAddress.ts'
import { createSimulation, type Simulation } from './simulation.ts'
import { createTally, type Tally } from './tally.ts'
import { UsageError } from './usageError.ts'
import { describeRun, describeVerdict } from './verdict.ts'

const progressEveryMs = 250

async function demo(options: DemoOptions, waybill: ServiceAddress): Promise<boolean> {
  const { seed } = options
  const view = createProgressView(process.stderr)
  const client = createWaybillClient(waybill)
  const documents = await loadDocuments()
  // The seed fixes what is sent; the run's own name keeps two runs on one service apart.
  const run = Date.now().toString(36)
  const idPrefix = `demo-${run}-`
  const pipelineOf = { advance: `webhooks-advance-${run}`, hold: `webhooks-hold-${run}` } as const
  for (const policy of ['advance', 'hold'] as const) {
    await client.definePipeline(pipelineOf[policy], definition(policy))
  }
  process.stderr.write(
    `${thousands(options.operations)} operations from ${documents.length} real documents, ${options.services} services, ${options.readers} readers, seed ${seed}, ${waybill.baseUrl}\n`,
  )

  const random = createRandom(seed)
  const tally = createTally()
  const findings = createFindings()
  const simulation = createSimulation({ ...options, waybill, documents, idPrefix, pipelineOf, random, tally })
  const follower = await follow(waybill, (operation) => operation.startsWith(idPrefix))
  const pipelines = [pipelineOf.advance, pipelineOf.hold] as const
  const records = (): typeof simulation.opened => simulation.opened
  const readers = startReaders({ waybill, count: options.readers, pipelines, records, random, tally, findings })
  const shown = new AbortController()
  const startedAt = performance.now()
  try {
    const showing = showProgress({ client, simulation, tally, view, pipelines, startedAt, signal: shown.signal })
    await simulation.run().finally(() => shown.abort())
    await showing
    const elapsedMs = performance.now() - startedAt
    await readers.stop()

    let checked = 0
    const onChecked = (): void => {
      checked += 1
      const summary = `proving: ${thousands(checked)} of ${thousands(options.operations)} operations read back`
      if (checked % 50 === 0 || checked === options.operations) view.update([summary], summary)
    }
    await prove({ waybill, records: simulation.records, idPrefix, pipelines, follower, findings, onChecked })
    view.end()
    const proved = findings.faults.length === 0
    const verdict = { proved, seed, elapsedMs: Math.round(elapsedMs), looks: Object.fromEntries(findings.looks) }
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ ...verdict, outcomes: Object.fromEntries(tally.outcomes), faults: findings.faults })}\n`
        : `\n${describeRun(tally, elapsedMs)}\n\n${describeVerdict(findings, createPaint(process.stdout, process.env))}\n${proved ? '' : `Repeat it with --seed ${seed}\n`}`,
    )
    return proved
  } finally {
    await readers.stop()
    follower.close()
    simulation.close()
    await client.close()
  }
}

interface Showing {
  readonly client: WaybillClient
  readonly simulation: Simulation
  readonly tally: Tally
  readonly view: ProgressView
  readonly pipelines: readonly string[]
  readonly startedAt: number
  readonly signal: AbortSignal
}

async function showProgress(showing: Showing): Promise<void> {
  const { tally, simulation, signal } = showing
  const paint = createPaint(process.stderr, process.env)
  const totals = { commands: simulation.commands, operations: simulation.records.length }
  const show = (): void => {
    const { lines, summary } = describeProgress(tally, totals, performance.now() - showing.startedAt, paint)
    showing.view.update(lines, summary)
  }
  while (!signal.aborted) {
    await readStatuses(showing)
    show()
    await delay(progressEveryMs, undefined, { signal }).catch(() => undefined)
  }
  await readStatuses(showing)
  show()
  showing.view.end()
}

/** Where the documents are, as the service's own counts say it. */
async function readStatuses({ client, tally, pipelines }: Showing): Promise<void> {
  const stats = await client.stats({ timeoutMs: 1_000 }).catch(() => null)
  if (stats === null) return
  tally.statuses.clear()
  for (const status of [...Object.keys(tracks.main.transitions), ...Object.keys(tracks.main.final)]) {
    tally.statuses.set(status, 0)
  }
  for (const name of pipelines) {
    for (const [status, count] of Object.entries(stats.pipelines[name]?.tracks.main ?? {})) {
      tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + count)
    }
  }
}

async function main(): Promise<number> {
  // The proof goes on and its exit code stands, whoever has stopped reading.
  for (const stream of [process.stdout, process.stderr]) whenOutputFails(stream, () => undefined)
  let options: DemoOptions | null
  try {
    options = readOptions(process.argv.slice(2), process.env)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  }
  if (options === null) {
    process.stdout.write(usage)
    return 0
  }
  let own: OwnWaybill | null = null
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void Promise.resolve(own?.stop()).finally(() => process.exit(1))
    })
  }
  try {
    if (options.waybill === null) {
      process.stderr.write('starting a Waybill of its own ...\n')
      own = await startOwnWaybill()
    }
    return (await demo(options, options.waybill ?? { baseUrl: own?.url ?? '' })) ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    await own?.stop()
  }
}

process.exitCode = await main()
