import { sameDefinition } from '../../../src/operation/definition.ts'
import type { PipelineDefined } from '../../../src/operation/events.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline } from '../../../src/operation/pipeline.ts'
import { pipelineStream } from '../../../src/operation/streamName.ts'
import type { Faults } from './faults.ts'
import type { LogIndex } from './logIndex.ts'

export interface LoggedPipeline {
  readonly compiled: CompiledPipeline
  readonly definedAt: string
  readonly definition: PipelineDefined['definition']
  readonly position: bigint
}

/** All versions of all pipelines that the log defines, in order. */
export type LoggedPipelines = ReadonlyMap<string, readonly LoggedPipeline[]>

/** Versions follow on one another, each another definition than the one before. */
export function foldPipelines(log: LogIndex, faults: Faults): LoggedPipelines {
  const pipelines = new Map<string, LoggedPipeline[]>()
  for (const stream of log.streams.values()) {
    if (!stream.name.startsWith('pipeline-')) continue
    const name = stream.name.slice('pipeline-'.length)
    const versions: LoggedPipeline[] = []
    pipelines.set(name, versions)
    for (const { events } of stream.appends) {
      const [event] = events
      const before = versions.at(-1)
      if (event?.decoded.type !== 'PipelineDefined' || events.length !== 1) {
        faults.add('wrong_transition', stream.name, 'an append that defines no version', { events })
        continue
      }
      const { version, definition } = event.decoded.data
      if (version !== versions.length + 1 || (before !== undefined && sameDefinition(before.definition, definition))) {
        faults.add('wrong_transition', stream.name, `version ${version} is not the next one`, { events })
      }
      const compiled = compilePipeline(name, version, definition)
      versions.push({ compiled, definition, definedAt: event.decoded.meta.recordedAt, position: event.position })
    }
  }
  return pipelines
}

/** Throws when the log defines none of that name and version. */
export function pipelineOf(pipelines: LoggedPipelines, name: string, version: number): CompiledPipeline {
  const found = name === anyPipeline.name ? anyPipeline : pipelines.get(name)?.[version - 1]?.compiled
  if (found === undefined) throw new Error(`${pipelineStream(name)} defines no version ${version}`)
  return found
}
