import { createHash } from 'node:crypto'
import type { OperationState } from '../operation/state.ts'

/** All that filters and counts ask of an operation's standing, shared by the many operations that stand alike. */
export interface Shape {
  readonly id: bigint
  readonly pipeline: string
  readonly state: string
  /** JSON text: status (or null) by track, in order of the tracks' names. */
  readonly tracks: string
}

/** More shapes than any set of pipelines has; a pipeline `any` with free texts as statuses could make more. */
const rememberedMax = 20_000

/** Finds an operation's shape. Remembers those it has seen: a hash for each fold would cost more than the fold. */
export class Shapes {
  readonly #seen = new Map<string, Shape>()

  of(state: OperationState): Shape {
    const tracks = trackStatuses(state)
    const text = `${state.pipeline.name}\n${state.state}\n${tracks}`
    const seen = this.#seen.get(text)
    if (seen !== undefined) return seen
    if (this.#seen.size >= rememberedMax) this.#seen.clear()
    // A function of what it stands for, so that a rebuild and another node come to the same id. 64 bits: among a million
    // shapes, two are alike with a chance of 1 in 37 million.
    const id = createHash('sha256').update(text).digest().readBigInt64BE(0)
    const shape = { id, pipeline: state.pipeline.name, state: state.state, tracks }
    this.#seen.set(text, shape)
    return shape
  }
}

function trackStatuses(state: OperationState): string {
  const names = Object.keys(state.tracks)
  const [only] = names
  if (names.length === 1 && only !== undefined) {
    return `{${JSON.stringify(only)}:${JSON.stringify(state.tracks[only]?.status ?? null)}}`
  }
  const members = names.sort().map((name) => {
    const status = state.tracks[name]?.status ?? null
    return `${JSON.stringify(name)}:${JSON.stringify(status)}`
  })
  return `{${members.join(',')}}`
}
