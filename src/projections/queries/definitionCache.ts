import type { PipelineDefinition } from '../../operation/pipeline.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline, type PipelineOf } from '../../operation/pipeline.ts'
import { UnknownPipelineError } from '../projectedPipelines.ts'

/** A large definition takes half a megabyte when compiled. */
const pipelinesMax = 200

/** Finds one version's definition in the read model; null when it is not there. */
export type FindDefinition = (name: string, version: number) => Promise<PipelineDefinition | null>

/** The definitions that shown operations run by: compiled once, least recently used ones dropped first. They never change. */
export class DefinitionCache {
  readonly #pipelines = new Map<string, CompiledPipeline>()
  readonly #find: FindDefinition

  constructor(find: FindDefinition) {
    this.#find = find
  }

  /**
   * What `show` gives with all definitions at hand that it asks for. It is called again after each that had to be found.
   * Throws UnknownPipelineError for one that is nowhere, and what `show` throws.
   */
  async with<T>(show: (pipelineOf: PipelineOf) => T): Promise<T> {
    for (;;) {
      let missing: { readonly name: string; readonly version: number } | null = null
      try {
        return show((name, version) => {
          const known = name === anyPipeline.name ? anyPipeline : this.#known(name, version)
          if (known !== undefined) return known
          missing = { name, version }
          throw new UnknownPipelineError(`pipeline ${name} has no version ${version}`)
        })
      } catch (error) {
        if (missing === null) throw error
        await this.#load(missing, error)
      }
    }
  }

  #known(name: string, version: number): CompiledPipeline | undefined {
    const key = keyOf(name, version)
    const known = this.#pipelines.get(key)
    if (known === undefined) return undefined
    this.#pipelines.delete(key)
    this.#pipelines.set(key, known)
    return known
  }

  async #load({ name, version }: { readonly name: string; readonly version: number }, error: unknown): Promise<void> {
    const definition = await this.#find(name, version)
    if (definition === null) throw error
    this.#pipelines.set(keyOf(name, version), compilePipeline(name, version, definition))
    const [oldest] = this.#pipelines.keys()
    if (this.#pipelines.size > pipelinesMax && oldest !== undefined) this.#pipelines.delete(oldest)
  }
}

function keyOf(name: string, version: number): string {
  return `${version} ${name}`
}
