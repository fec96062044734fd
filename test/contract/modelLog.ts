import type { AppendOutcome, AppendRequest } from '../../src/eventlog/eventLog.ts'

/** What a log holds, reduced to ids; and what the port says of an append, written down once more and independently. */
export class ModelLog {
  readonly streams = new Map<string, string[]>()
  readonly #hasIdIndex: boolean
  /** Ids of the stream at hand in the batch at hand: what is known without an index. */
  #inBatch = new Set<string>()

  constructor(hasIdIndex: boolean) {
    this.#hasIdIndex = hasIdIndex
  }

  append(batch: readonly AppendRequest[]): AppendOutcome[] {
    const outcomes = new Map<AppendRequest, AppendOutcome>()
    const streams = new Set(batch.map(({ stream }) => stream))
    for (const stream of streams) {
      let broken = false
      this.#inBatch = new Set()
      for (const request of batch.filter((candidate) => candidate.stream === stream)) {
        const outcome: AppendOutcome = broken ? { kind: 'untried' } : this.#appendOne(request)
        broken = outcome.kind !== 'appended'
        if (!broken) for (const { id } of request.events) this.#inBatch.add(id)
        outcomes.set(request, outcome)
      }
    }
    return batch.map((request) => outcomes.get(request) ?? { kind: 'untried' })
  }

  #appendOne({ stream, expectedRevision, events }: AppendRequest): AppendOutcome {
    const ids = this.streams.get(stream) ?? []
    const last = BigInt(ids.length - 1)
    if (expectedRevision === 'noStream' ? ids.length > 0 : ids.length === 0 || expectedRevision !== last) {
      return { kind: 'conflict', actualRevision: ids.length === 0 ? null : last }
    }
    const taken = new Set(this.#hasIdIndex ? [...this.streams.values()].flat() : this.#inBatch)
    for (const { id, data } of events) {
      if (data !== '{}') return { kind: 'rejected', reason: 'invalid' }
      if (taken.has(id)) return { kind: 'duplicate' }
      taken.add(id)
    }
    if (events.length > 0) this.streams.set(stream, [...ids, ...events.map(({ id }) => id)])
    return { kind: 'appended', revision: last + BigInt(events.length), position: 0n }
  }
}
