export function operationStream(operation: string): string {
  return `operation-${operation}`
}

export function pipelineStream(name: string): string {
  return `pipeline-${name}`
}

/** What operators did to a projection. No operation's and no pipeline's: `streamSubject` is null. */
export function projectionStream(name: string): string {
  return `projection-${name}`
}

/** What operators did (docs/adr/0015-audit-trail.md). No operation's either. */
export const auditStream = 'audit'

/** The names that pipelines were given, in their order (docs/adr/0016-registered-pipelines.md). No pipeline's either. */
export const pipelinesStream = 'pipelines'

/** Whose stream it is, or null for a stream of another kind. */
export function streamSubject(
  stream: string,
): { readonly kind: 'operation' | 'pipeline'; readonly name: string } | null {
  if (stream.startsWith('operation-')) return { kind: 'operation', name: stream.slice(10) }
  if (stream.startsWith('pipeline-')) return { kind: 'pipeline', name: stream.slice(9) }
  return null
}
