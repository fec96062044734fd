import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { CommandMetrics } from '../commands/commandService.ts'
import type { AppendOutcome } from '../eventlog/eventLog.ts'

const appendOutcomes = [
  'appended',
  'conflict',
  'duplicate',
  'untried',
  'rejected',
  'unavailable',
  'unknown',
] as const satisfies readonly AppendOutcome['kind'][]

/** `metrics` is what the command service says of itself. */
export function commandMetrics(registry: Registry, metrics: CommandMetrics): void {
  const registers = [registry]
  const batchCommands = new Histogram({
    name: 'waybill_append_batch_commands',
    help: 'Commands in one append to the log.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048],
    registers,
  })
  const batchSeconds = new Histogram({
    name: 'waybill_append_duration_seconds',
    help: 'Time from sending a batch to the log to its confirmation.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  const appends = new Counter({
    name: 'waybill_appends_total',
    help: 'Requests to append to the log, by what the log said.',
    labelNames: ['outcome'],
    registers,
  })
  const appended = Object.fromEntries(appendOutcomes.map((outcome) => [outcome, appends.labels(outcome)]))
  // From the start, so that the first failure is an increase.
  for (const counter of Object.values(appended)) counter.inc(0)
  metrics.onBatch((count, seconds, outcomes) => {
    batchCommands.observe(count)
    batchSeconds.observe(seconds)
    for (const { kind } of outcomes) appended[kind]?.inc()
  })
  new Counter({
    name: 'waybill_reports_total',
    help: 'Answers to reports, by pipeline, service, outcome and reason.',
    labelNames: ['pipeline', 'service', 'outcome', 'reason'],
    registers,
    collect() {
      this.reset()
      for (const { count, ...labels } of metrics.reports()) this.inc(labels, count)
    },
  })
  new Gauge({
    name: 'waybill_commands_in_flight',
    help: 'Commands taken and not yet answered.',
    registers,
    collect() {
      this.set(metrics.inFlight())
    },
  })
  new Gauge({
    name: 'waybill_commands_in_flight_max',
    help: 'Commands that may be taken and not yet answered; one more is answered 503.',
    registers,
  }).set(metrics.inFlightMax)
  new Counter({
    name: 'waybill_unknown_outcomes_total',
    help: 'Commands whose outcome could not be told.',
    registers,
    collect() {
      this.reset()
      this.inc(metrics.unknownOutcomes())
    },
  })
  new Counter({
    name: 'waybill_idempotency_keys_reused_total',
    help: 'Requests refused because their idempotency key was used for another one, by who had used it.',
    labelNames: ['sender'],
    registers,
    collect() {
      this.reset()
      for (const [sender, count] of Object.entries(metrics.keyReuse())) this.inc({ sender }, count)
    },
  })
  new Counter({
    name: 'waybill_unreadable_streams_total',
    help: 'Times that commands were refused because their stream could not be read.',
    registers,
    collect() {
      this.reset()
      this.inc(metrics.unreadable())
    },
  })
}
