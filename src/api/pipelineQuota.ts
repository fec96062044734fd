import type { DefinePipeline } from '../commands/commandService.ts'
import { createPipelineRegistry, type PipelineRegistry, type Registered } from '../commands/pipelineRegistry.ts'
import { LogUnavailableError } from '../eventlog/eventLog.ts'
import type { ApiContext } from './context.ts'
import { failureProblem, ProblemError } from './problem.ts'

/**
 * How many pipelines there may be. Each costs every node memory and every list of them time, and none is ever removed. Those
 * that are there stay, and get new versions, also where there are more than that by now. The log decides
 * (commands/pipelineRegistry.ts), so that the limit holds on all nodes together, and while the read model does not answer.
 */
export class PipelineQuota {
  readonly #pipelinesMax: number
  readonly #registry: PipelineRegistry

  constructor({ log, readModel, limits }: Pick<ApiContext, 'log' | 'readModel' | 'limits'>) {
    const { pipelinesMax } = limits
    this.#pipelinesMax = pipelinesMax
    this.#registry = createPipelineRegistry({
      log,
      now: () => new Date().toISOString(),
      pipelinesMax,
      counted: async () => (await readModel.pipelineCount(pipelinesMax)).value,
    })
  }

  /** Before a new pipeline is defined. Throws ProblemError, `too_large`, and what else keeps it from being counted. */
  async admit(definition: Pick<DefinePipeline, 'name' | 'key' | 'actor' | 'traceparent'>): Promise<void> {
    const { key: command } = definition
    let registered: Registered
    try {
      registered = await this.#registry.register(definition)
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error
      const failure = { code: 'log_unavailable', retryAfterS: 1 } as const
      throw new ProblemError(failureProblem(failure, undefined, command, 'pipeline'))
    }
    if (registered === 'registered') return
    const detail =
      `There are ${this.#pipelinesMax} pipelines already, and no more are taken. New versions of those that are there are: ` +
      'define one of them anew instead.'
    throw new ProblemError({ code: 'too_large', detail, command })
  }
}
