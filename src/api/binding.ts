import type { Binding, Caller } from '../access/access.ts'
import { type Command, isOutsidePipelines } from '../operation/commands.ts'
import { outsidePipelines } from '../operation/refusals.ts'
import type { ApiContext } from './context.ts'
import { type Problem, ProblemError } from './problem.ts'

/**
 * Null, or why the sender's key does not let it send this command, as far as the command says itself. Which pipeline an
 * operation is in is known where the command is decided: `pipelinesAllowed` goes with it.
 */
export function bindingFault(binding: Binding | undefined, { operation, key, body }: Command): Problem | null {
  if (binding === undefined) return null
  const { services, pipelines } = binding
  if (services !== undefined && body.type === 'ReportStatus' && !services.includes(body.service)) {
    const detail = `This key is bound to other services than ${JSON.stringify(body.service)}: report with a key that may.`
    return { code: 'forbidden', detail, operation, command: key }
  }
  if (body.pipeline !== undefined && isOutsidePipelines(pipelines, body.pipeline)) {
    return { ...outsidePipelines(body.pipeline), operation, command: key }
  }
  return null
}

/** Throws ProblemError when the caller's key is bound to other pipelines. */
export function requirePipeline({ binding }: Caller, pipeline: string): void {
  if (isOutsidePipelines(binding?.pipelines, pipeline)) throw new ProblemError(outsidePipelines(pipeline))
}

/**
 * The same for the pipeline that an operation is in, for callers who may send commands and not read. One that is not there
 * is in none.
 */
export async function requirePipelineOf(
  { commands }: Pick<ApiContext, 'commands'>,
  caller: Caller,
  operation: string,
): Promise<void> {
  if (caller.binding?.pipelines === undefined || caller.roles.includes('viewer')) return
  const loaded = commands.cached(operation) ?? (await commands.load(operation))
  if (loaded !== null) requirePipeline(caller, loaded.state.pipeline.name)
}
