import type { CommandResult } from './commandService.ts'

export interface ReportCount {
  /** `unknown` when the report was answered before anybody looked which one it is. */
  readonly pipeline: string
  readonly service: string
  readonly outcome: string
  /** Empty when there is nothing to say beyond the outcome. */
  readonly reason: string
  readonly count: number
}

/**
 * Pairs of pipeline and service that are counted by their own names. Callers choose the names of services, and every series
 * costs a scraper memory for ever.
 */
export const namedPairsMax = 500

const other = 'other'

/** Counts of one outcome, by reason. */
type Reasons = Map<string, { count: number }>
type Outcomes = Map<string, Reasons>

/** Counts the answers to reports. A report costs five look-ups: objects are made for the first of their kind only. */
export class ReportCounts {
  readonly #pipelines = new Map<string, Map<string, Outcomes>>()
  #pairs = 0

  note(pipeline: string, service: string, result: CommandResult): void {
    switch (result.kind) {
      case 'accepted':
        this.add(pipeline, service, result.outcome, result.reason ?? '')
        return
      case 'refused':
        this.add(pipeline, service, 'refused', result.refusal.code)
        return
      case 'failed':
        this.add(pipeline, service, 'failed', result.failure.code)
        return
      default:
        result satisfies never
    }
  }

  add(pipeline: string, service: string, outcome: string, reason: string): void {
    const outcomes = this.#pipelines.get(pipeline)?.get(service) ?? this.#outcomesOf(pipeline, service)
    let reasons = outcomes.get(outcome)
    if (reasons === undefined) {
      reasons = new Map()
      outcomes.set(outcome, reasons)
    }
    const counted = reasons.get(reason)
    if (counted === undefined) reasons.set(reason, { count: 1 })
    else counted.count += 1
  }

  *all(): Iterable<ReportCount> {
    for (const [pipeline, services] of this.#pipelines) {
      for (const [service, outcomes] of services) {
        for (const [outcome, reasons] of outcomes) {
          for (const [reason, { count }] of reasons) yield { pipeline, service, outcome, reason, count }
        }
      }
    }
  }

  /** Where a pair that has no counts of its own yet is counted. */
  #outcomesOf(pipeline: string, service: string): Outcomes {
    if (this.#pairs < namedPairsMax) {
      this.#pairs += 1
      return this.#made(pipeline, service)
    }
    // A pipeline that has a service with a name of its own keeps its name: there are no more than pairs of those.
    return this.#made(this.#pipelines.has(pipeline) ? pipeline : other, other)
  }

  #made(pipeline: string, service: string): Outcomes {
    let services = this.#pipelines.get(pipeline)
    if (services === undefined) {
      services = new Map()
      this.#pipelines.set(pipeline, services)
    }
    let outcomes = services.get(service)
    if (outcomes === undefined) {
      outcomes = new Map()
      services.set(service, outcomes)
    }
    return outcomes
  }
}
