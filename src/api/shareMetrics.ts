import { Counter, Gauge, type Registry } from 'prom-client'
import type { FairShareCounts } from '../runtime/fairShare.ts'

/** What is shared among keys, by name. Of no key: its owner's name would be a series for each. */
export function shareMetrics(registry: Registry, shares: () => Readonly<Record<string, FairShareCounts>>): void {
  const metric = (kind: typeof Gauge | typeof Counter, name: string, help: string, of: keyof FairShareCounts): void => {
    new kind({
      name,
      help,
      labelNames: ['limit'],
      registers: [registry],
      collect() {
        this.reset()
        for (const [limit, counts] of Object.entries(shares())) this.inc({ limit }, counts[of])
      },
    })
  }
  metric(Gauge, 'waybill_limit_max', 'The most that there may be of what is shared among keys.', 'max')
  metric(Gauge, 'waybill_limit_taken', 'What is taken of it.', 'taken')
  metric(Counter, 'waybill_limit_refused_total', 'Requests refused because it was all taken.', 'refused')
  metric(
    Counter,
    'waybill_limit_reclaimed_total',
    'What was taken from the key that had the most, for another key.',
    'reclaimed',
  )
}
