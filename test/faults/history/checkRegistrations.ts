import { pipelineRegistered } from '../../../src/commands/pipelineRegistry.ts'
import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { isJsonObject } from '../../../src/operation/json.ts'
import { pipelineStream, pipelinesStream } from '../../../src/operation/streamName.ts'
import type { Faults } from './faults.ts'

/** Pipelines are registered (docs/adr/0016-registered-pipelines.md): each name once, counted up, and before it is defined. */
export function checkRegistrations(streams: ReadonlyMap<string, readonly RecordedEvent[]>, faults: Faults): void {
  const registered = new Set<string>()
  let count = 0
  for (const event of streams.get(pipelinesStream) ?? []) {
    const fault = (type: 'malformed_event' | 'doubled_write' | 'wrong_transition', detail: string): void =>
      faults.add(type, pipelinesStream, detail, { events: [event] })
    const data: unknown = JSON.parse(event.data)
    if (event.type !== pipelineRegistered || !isJsonObject(data)) {
      fault('malformed_event', `event ${event.revision} registers no pipeline`)
      continue
    }
    const { name, pipelines } = data
    if (typeof name !== 'string' || typeof pipelines !== 'number') {
      fault('malformed_event', `event ${event.revision} does not say which pipeline, or how many there are`)
      continue
    }
    if (registered.has(name)) fault('doubled_write', `pipeline ${name} is registered twice`)
    if (pipelines <= count) fault('wrong_transition', `pipeline ${name} is number ${pipelines} after number ${count}`)
    const [defined] = streams.get(pipelineStream(name)) ?? []
    if (defined !== undefined && defined.position < event.position) {
      fault('wrong_transition', `pipeline ${name} was defined before it was registered`)
    }
    registered.add(name)
    count = pipelines
  }
}
