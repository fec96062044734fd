import type { ApiContext } from './context.ts'
import { ProblemError } from './problem.ts'

/** Of those that this node defined last, as many are remembered as may wait for the projector. */
const rememberedMax = 10_000

/**
 * How many pipelines there may be. Each costs every node memory and every list of them time, and none is ever removed. Those
 * that are there stay, and get new versions, also where there are more than that by now.
 *
 * They are counted in the read model, and those that this node defined since are added, once they are defined. So those that
 * are sent at the same moment, to one node or to several, may pass together, as many as are in flight; and while the read
 * model does not answer, nothing is refused: a definition does not wait for it.
 */
export class PipelineQuota {
  readonly #context: Pick<ApiContext, 'readModel' | 'commands' | 'limits'>
  /** Defined here, with the position; the read model may not hold them yet. */
  readonly #defined = new Map<string, bigint>()

  constructor(context: Pick<ApiContext, 'readModel' | 'commands' | 'limits'>) {
    this.#context = context
  }

  /** Before `name` is defined. Throws ProblemError, `too_large`. */
  async expectRoom(name: string): Promise<void> {
    const { readModel, commands, limits } = this.#context
    const { pipelinesMax } = limits
    if (this.#defined.has(name)) return
    const read = await readModel.pipelineCount(name, pipelinesMax).catch(() => null)
    if (read === null || read.value.isThere) return
    for (const [defined, position] of this.#defined) if (position <= read.position) this.#defined.delete(defined)
    if (read.value.count + this.#defined.size < pipelinesMax) return
    // Another node may have defined it just now.
    if ((await commands.pipeline(name)) !== null) return
    const detail = `There are ${pipelinesMax} pipelines already, and no more are taken. New versions of those that are there are.`
    throw new ProblemError({ code: 'too_large', detail })
  }

  defined(name: string, position: bigint): void {
    if (this.#defined.size < rememberedMax) this.#defined.set(name, position)
  }
}
