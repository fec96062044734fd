import { Gauge, type Registry } from 'prom-client'
import type { OldestInStatus } from '../projections/queries/oldestInStatus.ts'
import type { ReadModel, Stats } from '../projections/readModel.ts'
import { CachedRead } from './cachedRead.ts'

/** Series of one metric: statuses of pipeline `any` are free texts, and every series costs a scraper memory. */
const seriesMax = 1_000
const other = 'other'

const answerMsMax = 2_000
const statsFreshMs = 5_000
/** It looks at one operation of each shape, and of each status of tracks beside the default one. */
const oldestFreshMs = 15_000

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/**
 * What the read model counts, asked when a scraper asks. Every node says the same of it, so queries take the `max`. When
 * the read model does not answer, it says so in a metric of its own, and the counts are left out: old ones would look true.
 */
export function operationMetrics(
  registry: Registry,
  readModel: Pick<ReadModel, 'stats' | 'oldestInStatus'>,
  clock: { readonly nowMs: () => number; readonly monotonicMs: () => number } = {
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
  },
): void {
  const cached = { answerMsMax, nowMs: clock.monotonicMs }
  const stats = new CachedRead(() => readModel.stats(), { ...cached, freshMs: statsFreshMs })
  const oldest = new CachedRead(() => readModel.oldestInStatus(), { ...cached, freshMs: oldestFreshMs })

  const gauge = (name: string, help: string, labelNames: string[], samples: () => Promise<readonly Sample[]>): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const found = await samples()
        this.reset()
        for (const { labels, value } of found) this.set(labels, value)
      },
    })
  }
  new Gauge({
    name: 'waybill_read_model_up',
    help: '1 when the read model answered this scrape; otherwise the metrics of operations are missing.',
    registers: [registry],
    async collect() {
      const answers = await Promise.all([stats.get(), oldest.get()])
      this.set(answers.includes(null) ? 0 : 1)
    },
  })
  new Gauge({
    name: 'waybill_parked_streams',
    help: 'Streams that could not be folded and were set aside. From the read model.',
    registers: [registry],
    async collect() {
      // Not what the projector remembers: on a node that projects no longer, that is how it was then.
      const parked = (await stats.get())?.value.parked
      if (parked === undefined) this.remove()
      else this.set(parked)
    },
  })
  gauge(
    'waybill_operations',
    'Operations with a track in a status; one with several tracks counts once for each. From the read model.',
    ['pipeline', 'track', 'status'],
    async () => largest(statusSamples((await stats.get())?.value.pipelines ?? {}), sum),
  )
  gauge('waybill_operations_state', 'Operations by state. From the read model.', ['pipeline', 'state'], async () =>
    largest(stateSamples((await stats.get())?.value.pipelines ?? {}), sum),
  )
  gauge(
    'waybill_oldest_in_status_seconds',
    'Of the active operations with a track in a status: the longest time that one has been in it. From the read model.',
    ['pipeline', 'track', 'status'],
    async () => largest(ageSamples((await oldest.get())?.value ?? [], clock.nowMs()), Math.max),
  )
}

function statusSamples(pipelines: Stats['pipelines']): Sample[] {
  return Object.entries(pipelines).flatMap(([pipeline, { tracks }]) =>
    Object.entries(tracks).flatMap(([track, statuses]) =>
      Object.entries(statuses).map(([status, value]) => ({ labels: { pipeline, track, status }, value })),
    ),
  )
}

function stateSamples(pipelines: Stats['pipelines']): Sample[] {
  return Object.entries(pipelines).flatMap(([pipeline, { states }]) =>
    Object.entries(states).map(([state, value]) => ({ labels: { pipeline, state }, value })),
  )
}

function ageSamples(oldest: readonly OldestInStatus[], nowMs: number): Sample[] {
  return oldest.map(({ pipeline, track, status, sinceAtMs }) => ({
    labels: { pipeline, track, status },
    // Another node's clock may be ahead of this one's.
    value: Math.max(0, nowMs - sinceAtMs) / 1_000,
  }))
}

/** The largest ones by name, and one for all the others. */
export function largest(samples: readonly Sample[], join: (one: number, two: number) => number): readonly Sample[] {
  if (samples.length <= seriesMax) return samples
  const sorted = [...samples].sort((one, two) => two.value - one.value)
  const rest = sorted.slice(seriesMax)
  const labels = Object.fromEntries(Object.keys(rest[0]?.labels ?? {}).map((name) => [name, other]))
  return [
    ...sorted.slice(0, seriesMax),
    { labels, value: rest.reduce((value, sample) => join(value, sample.value), 0) },
  ]
}

function sum(one: number, two: number): number {
  return one + two
}
