import type { PipelineDefined } from '../operation/events.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline } from '../operation/pipeline.ts'

/** An operation names a pipeline that the log has not defined, or whose definition could not be folded. */
export class UnknownPipelineError extends Error {
  override readonly name = 'UnknownPipelineError'
}

/** All versions of all pipelines as far as the log is folded: definitions precede in the log what was opened with them. */
export class ProjectedPipelines {
  readonly #versions = new Map<string, Map<number, CompiledPipeline>>()

  has(name: string, version: number): boolean {
    return this.#versions.get(name)?.has(version) ?? false
  }

  define(name: string, { version, definition }: PipelineDefined): void {
    const pipeline = compilePipeline(name, version, definition)
    const versions = this.#versions.get(name)
    if (versions === undefined) this.#versions.set(name, new Map([[version, pipeline]]))
    else versions.set(version, pipeline)
  }

  /** For the fold. Throws UnknownPipelineError. */
  readonly pipelineOf = (name: string, version: number): CompiledPipeline => {
    const pipeline = name === anyPipeline.name ? anyPipeline : this.#versions.get(name)?.get(version)
    if (pipeline === undefined) throw new UnknownPipelineError(`pipeline ${name} has no version ${version}`)
    return pipeline
  }

  clear(): void {
    this.#versions.clear()
  }
}
