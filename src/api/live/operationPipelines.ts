import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { isJsonObject } from '../../operation/json.ts'
import { operationStream, streamSubject } from '../../operation/streamName.ts'
import type { ApiContext } from '../context.ts'

const rememberedMax = 50_000
const atOnceMax = 100

/**
 * Which pipeline an operation runs in: only its first event says so, and it never changes. Kept for the operations met
 * last, as long as streams ask for a pipeline.
 */
export class OperationPipelines {
  readonly #context: Pick<ApiContext, 'commands' | 'readModel' | 'log'>
  readonly #names = new Map<string, string>()

  constructor(context: Pick<ApiContext, 'commands' | 'readModel' | 'log'>) {
    this.#context = context
  }

  /** Undefined when it was not learnt, or was forgotten; empty for a stream that does not begin as an operation's does. */
  of(operation: string): string | undefined {
    return this.#names.get(operation)
  }

  knows(events: readonly RecordedEvent[]): boolean {
    return this.#unknown(events).size === 0
  }

  /** Learns those of all events' operations. Rejects when the log cannot be read. */
  async learn(events: readonly RecordedEvent[]): Promise<void> {
    // Before, not while, so that what is learnt here is still there when it is asked for.
    if (this.#names.size > rememberedMax) this.#names.clear()
    for (const event of events) {
      const subject = streamSubject(event.stream)
      if (subject?.kind === 'operation' && event.revision === 0n) this.#names.set(subject.name, pipelineOf(event))
    }
    const ids = [...this.#unknown(events)].filter((id) => {
      const cached = this.#context.commands.cached(id)
      if (cached !== null) this.#names.set(id, cached.state.pipeline.name)
      return cached === null
    })
    for (let start = 0; start < ids.length; start += atOnceMax) await this.#look(ids.slice(start, start + atOnceMax))
  }

  async #look(ids: readonly string[]): Promise<void> {
    try {
      const { value } = await this.#context.readModel.operationsById(ids)
      for (const { row, traits } of value) this.#names.set(row.id, traits.pipeline)
    } catch {
      // The log knows as well.
    }
    await Promise.all(
      ids.map(async (id) => {
        if (this.#names.has(id)) return
        const [first] = await this.#context.log.readStream(operationStream(id), { maxCount: 1 })
        this.#names.set(id, first === undefined ? '' : pipelineOf(first))
      }),
    )
  }

  #unknown(events: readonly RecordedEvent[]): Set<string> {
    const ids = new Set<string>()
    for (const { stream } of events) {
      const subject = streamSubject(stream)
      if (subject?.kind === 'operation' && !this.#names.has(subject.name)) ids.add(subject.name)
    }
    return ids
  }
}

function pipelineOf({ type, data }: RecordedEvent): string {
  if (type !== 'OperationOpened') return ''
  try {
    const opened: unknown = JSON.parse(data)
    const pipeline = isJsonObject(opened) ? opened.pipeline : undefined
    return isJsonObject(pipeline) && typeof pipeline.name === 'string' ? pipeline.name : ''
  } catch {
    return ''
  }
}
