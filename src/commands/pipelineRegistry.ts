import type { AppendOutcome, AppendRequest, EventLog, RecordedEvent } from '../eventlog/eventLog.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import { streamEvents } from '../eventlog/readStream.ts'
import { type Decided, transact } from '../eventlog/transact.ts'
import { type SealedEvent, sealNext } from '../operation/envelope.ts'
import { isJsonObject } from '../operation/json.ts'
import { registrationRequestHash } from '../operation/requestHash.ts'
import { pipelinesStream } from '../operation/streamName.ts'
import { createSemaphore } from '../runtime/semaphore.ts'
import type { DefinePipeline } from './commandService.ts'

/** The type of every event in the stream `pipelines`. */
export const pipelineRegistered = 'PipelineRegistered'

/**
 * How many pipelines a log has, decided by the log (docs/adr/0016-registered-pipelines.md): before its first version is
 * appended, a pipeline's name is appended to a stream of its own, with how many there are. That stream's expected revision
 * lets one definition at a time through, on whichever node, so that two never take the last place together.
 *
 * A name keeps its place though its definition failed afterwards, and uses it when it is sent again.
 */
export interface PipelineRegistry {
  /** Throws LogUnavailableError, and what `counted` throws. */
  register(pipeline: NewPipeline): Promise<Registered>
}

export type NewPipeline = Pick<DefinePipeline, 'name' | 'actor' | 'traceparent'>

/** `full`: there are as many as there may be, and this is not one of them. */
export type Registered = 'registered' | 'full'

export interface PipelineRegistryOptions {
  readonly log: EventLog
  /** RFC 3339 UTC. */
  readonly now: () => string
  readonly pipelinesMax: number
  /**
   * How many pipelines the read model knows. It counts those that were not registered: of before there was a registry, and of
   * older nodes. Once something is registered, its failure is no obstacle.
   */
  readonly counted: () => Promise<number>
}

/** How often a name may lose the stream's end to another node's. */
const conflictsMax = 20
const pageSize = 1_000
/** The version of the catalogue (operation/eventVersion.ts) at which the stream began; older nodes pass it by. */
const registryEventsVersion = 3

export function createPipelineRegistry(options: PipelineRegistryOptions): PipelineRegistry {
  const { log, now, pipelinesMax } = options
  const names = new Set<string>()
  /** The stream's end as it was read last; null: there was nothing. */
  let last: RecordedEvent | null = null
  /** How many pipelines there are, as the last one registered says; null: none was. */
  let count: number | null = null
  /** One after the other: the log takes one append of a stream at a time. */
  const oneByOne = createSemaphore(1)

  async function readOn(): Promise<void> {
    const fromRevision = last === null ? 0n : last.revision + 1n
    for await (const event of streamEvents(log, pipelinesStream, { fromRevision, pageSize })) learn(event)
  }

  function learn(event: RecordedEvent): void {
    last = event
    const data: unknown = JSON.parse(event.data)
    if (!isJsonObject(data) || typeof data.name !== 'string' || typeof data.pipelines !== 'number') return
    names.add(data.name)
    count = data.pipelines
  }

  /** Of those that are known by either. Neither alone knows all of them: a definition in flight is in no read model. */
  async function known(): Promise<number> {
    if (count === null) return options.counted()
    if (count >= pipelinesMax) return count
    return Math.max(count, await options.counted().catch(() => 0))
  }

  async function decide(pipeline: NewPipeline): Promise<Decided<Registered>> {
    await readOn()
    if (names.has(pipeline.name)) return { kind: 'nothing', result: 'registered' }
    const before = await known()
    if (before >= pipelinesMax) return { kind: 'nothing', result: 'full' }
    const event = sealed(pipeline, before + 1, last, now())
    return {
      kind: 'append',
      request: { stream: pipelinesStream, expectedRevision: last?.revision ?? 'noStream', events: [event] },
      appended: () => 'registered',
    }
  }

  async function appendOne(request: AppendRequest): Promise<AppendOutcome> {
    const [outcome] = await log.append([request])
    return outcome ?? { kind: 'unknown' }
  }

  return {
    register: (pipeline) =>
      oneByOne.run(async () => {
        const registration = await transact(appendOne, conflictsMax, () => decide(pipeline))
        if (registration.kind === 'done') return registration.result
        throw new LogUnavailableError('The pipeline could not be registered')
      }),
  }
}

function sealed(
  { name, actor, traceparent }: NewPipeline,
  pipelines: number,
  last: RecordedEvent | null,
  now: string,
): SealedEvent {
  return sealNext(pipelinesStream, last, {
    type: pipelineRegistered,
    data: { name, pipelines },
    // Its own key in this stream: one may be used for several definitions, and a name is registered once.
    recorder: {
      key: name,
      requestHash: registrationRequestHash(name),
      actor,
      ...(traceparent === undefined ? null : { traceparent }),
    },
    correlation: name,
    now,
    schemaVersion: registryEventsVersion,
  })
}
