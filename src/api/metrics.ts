import type { FastifyReply } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { roughEventCount } from '../eventlog/roughEventCount.ts'
import type { FairShareCounts } from '../runtime/fairShare.ts'
import { commandMetrics } from './commandMetrics.ts'
import type { ApiContext } from './context.ts'
import type { Live } from './live/live.ts'
import { operationMetrics } from './operationMetrics.ts'
import { failingChecks, type Readiness } from './readiness.ts'
import { shareMetrics } from './shareMetrics.ts'

export interface Metrics {
  readonly contentType: string
  text(): Promise<string>
  /** Of one route's answers. */
  observer(route: string): RouteObserver
}

/** Called once an answer is sent. */
export type RouteObserver = (method: string, reply: Pick<FastifyReply, 'statusCode' | 'elapsedTime'>) => void

type MetricsContext = Pick<ApiContext, 'commands' | 'log' | 'projector' | 'readModel' | 'selfAudit' | 'shares'>

/** Everything at `/metrics`: our own with the prefix `waybill_`, base units, no ids in labels. A registry of its own for each server. */
export function createMetrics(context: MetricsContext, readiness: Readiness, live: Pick<Live, 'metrics'>): Metrics {
  const registry = new Registry()
  // Under their usual names (`process_`, `nodejs_`), which everybody's dashboards for Node.js ask for.
  collectDefaultMetrics({ register: registry })
  const requests = new Histogram({
    name: 'waybill_http_request_duration_seconds',
    help: 'Time from a request to its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  readinessMetrics(registry, readiness)
  commandMetrics(registry, context.commands.metrics)
  operationMetrics(registry, context.readModel)
  projectionMetrics(registry, context)
  liveMetrics(registry, live)
  shareMetrics(registry, () => shareCounts(context))
  if (context.selfAudit !== undefined) auditMetrics(registry, context.selfAudit)

  // Who asks while they are collected gets the same: one text for all.
  let collecting: Promise<string> | null = null
  return {
    contentType: registry.contentType,
    text() {
      collecting ??= registry.metrics().finally(() => {
        collecting = null
      })
      return collecting
    },
    observer(route) {
      // Looking labels up by hashing an object of them costs more than the observation.
      const observers = new Map<string, { observe(seconds: number): void }>()
      return (method, { statusCode, elapsedTime }) => {
        const name = `${method}${statusCode}`
        let observer = observers.get(name)
        if (observer === undefined) {
          observer = requests.labels(method, route, String(statusCode))
          observers.set(name, observer)
        }
        observer.observe(elapsedTime / 1_000)
      }
    },
  }
}

function shareCounts({ shares, commands }: MetricsContext): Record<string, FairShareCounts> {
  const queued = commands.metrics.queued()
  const counts: Record<string, FairShareCounts> = { commands: queued.commands, command_bytes: queued.bytes }
  for (const [name, share] of Object.entries(shares)) counts[name] = share.counts
  return counts
}

function readinessMetrics(registry: Registry, readiness: Readiness): void {
  new Gauge({
    name: 'waybill_readiness_check',
    help: '1 when the check of /readyz passes.',
    labelNames: ['check'],
    registers: [registry],
    async collect() {
      for (const { name, ok } of await readiness.check()) this.set({ check: name }, ok ? 1 : 0)
    },
  })
  new Gauge({
    name: 'waybill_ready',
    help: '1 while /readyz is answered 200.',
    registers: [registry],
    async collect() {
      this.set(failingChecks(await readiness.check()).length === 0 ? 1 : 0)
    },
  })
}

function projectionMetrics(registry: Registry, { projector, log, readModel }: MetricsContext): void {
  const registers = [registry]
  new Gauge({
    name: 'waybill_projection_lag_seconds',
    help: 'Age of the oldest event known to be in the log and not in the read model; 0 when there is none.',
    registers,
    collect() {
      this.set(projector.lagMs() / 1_000)
    },
  })
  new Gauge({
    name: 'waybill_projection_lag_events',
    help: 'Events between the read model and the head of the log; -1 when the log does not answer.',
    registers,
    async collect() {
      try {
        const lag = (await log.head()) - readModel.position()
        this.set(lag > 0n ? roughEventCount(log, lag) : 0)
      } catch {
        this.set(-1)
      }
    },
  })
  new Gauge({
    name: 'waybill_tampered_streams',
    help: 'Streams set aside because their hash chain is broken; must be 0.',
    registers,
    collect() {
      this.set(projector.status().tampered)
    },
  })
  new Gauge({
    name: 'waybill_projection_paused',
    help: '1 while an operator has the projection paused, on any node.',
    registers,
    collect() {
      this.set(projector.status().paused ? 1 : 0)
    },
  })
  new Counter({
    name: 'waybill_projection_events_total',
    help: 'Events folded by this process.',
    registers,
    collect() {
      this.reset()
      this.inc(projector.status().eventsFolded)
    },
  })
}

function liveMetrics(registry: Registry, { metrics }: Pick<Live, 'metrics'>): void {
  const registers = [registry]
  new Gauge({
    name: 'waybill_live_streams',
    help: 'Live streams that have caught up.',
    labelNames: ['of'],
    registers,
    collect() {
      this.set({ of: 'events' }, metrics.eventStreams())
      this.set({ of: 'operations' }, metrics.operationStreams())
    },
  })
  new Counter({
    name: 'waybill_live_streams_dropped_total',
    help: 'Live streams cut off because their reader was too slow.',
    registers,
    collect() {
      this.reset()
      this.inc(metrics.dropped())
    },
  })
  new Counter({
    name: 'waybill_live_streams_turned_away_total',
    help: 'Live streams that were told to come back later: this node was full, shut down or could not reach its log.',
    registers,
    collect() {
      this.reset()
      this.inc(metrics.turnedAway())
    },
  })
  new Gauge({
    name: 'waybill_operation_waits',
    help: 'Requests that wait for an operation.',
    registers,
    collect() {
      this.set(metrics.waits())
    },
  })
}

function auditMetrics(registry: Registry, audit: NonNullable<MetricsContext['selfAudit']>): void {
  const registers = [registry]
  function counter(name: string, help: string, label: string, counts: () => Readonly<Record<string, number>>): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of Object.entries(counts())) this.inc({ [label]: value }, count)
      },
    })
  }
  counter(
    'waybill_audit_checked_total',
    'Rows held against the log by this process.',
    'of',
    () => audit.status().checked,
  )
  counter('waybill_audit_drifts_total', 'Rows found to differ from the log.', 'of', () => audit.status().drifted)
  counter('waybill_audit_skipped_total', 'Samples that came to no verdict.', 'reason', () => audit.status().skipped)
  new Gauge({
    name: 'waybill_audit_drifting',
    help: 'Rows that differed from the log when this process last looked; must be 0.',
    registers,
    collect() {
      this.set(audit.status().drifting)
    },
  })
  new Counter({
    name: 'waybill_audit_tampered_total',
    help: 'Streams of the log that this process found to be tampered with.',
    registers,
    collect() {
      this.reset()
      this.inc(audit.status().tampered)
    },
  })
  new Gauge({
    name: 'waybill_audit_tampering',
    help: 'Streams of the log that were tampered with when this process last looked; must be 0.',
    registers,
    collect() {
      this.set(audit.status().tampering)
    },
  })
  new Gauge({
    name: 'waybill_audit_last_check_age_seconds',
    help: 'Time since the last sample that could be taken.',
    registers,
    collect() {
      this.set(audit.status().secondsSinceCheck)
    },
  })
}
