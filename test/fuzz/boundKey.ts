/** The fuzzer's bound key: its name, and all that it may report for and into. */
export const boundKey = {
  name: 'own-bound',
  roles: ['service', 'definer'],
  services: ['ocr', 'mail'],
  pipelines: ['linear', 'p-1'],
} as const

export interface LoggedEvent {
  readonly stream: string
  readonly type: string
  readonly data: {
    readonly service?: unknown
    readonly pipeline?: { readonly name?: unknown } | undefined
  }
  readonly metadata: { readonly actor?: unknown }
}

/** Holds the log's events, in their order, against what the bound key may do. */
export class BoundKeyWatch {
  readonly #pipelineOf = new Map<string, unknown>()

  /** What the bound key did in this event and may not; null: nothing. */
  faultOf({ stream, type, data, metadata }: LoggedEvent): string | null {
    if (type === 'OperationOpened') this.#pipelineOf.set(stream, data.pipeline?.name)
    if (metadata.actor !== boundKey.name) return null
    if (typeof data.service === 'string' && !isOneOf(boundKey.services, data.service)) {
      return `the bound key reported for ${data.service}`
    }
    const pipeline = stream.startsWith('operation-')
      ? this.#pipelineOf.get(stream)
      : stream.startsWith('pipeline-')
        ? stream.slice('pipeline-'.length)
        : null
    if (pipeline === null || isOneOf(boundKey.pipelines, pipeline)) return null
    return `the bound key wrote into pipeline ${JSON.stringify(pipeline)}`
  }
}

function isOneOf(names: readonly string[], name: unknown): boolean {
  return names.some((one) => one === name)
}
