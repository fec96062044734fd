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
    const key = keyOf(state)
    const seen = this.#seen.get(key)
    if (seen !== undefined) return seen
    if (this.#seen.size >= rememberedMax) this.#seen.clear()
    const shape = shapeOf(state)
    this.#seen.set(key, shape)
    return shape
  }
}

/** Lengths go before texts, so that no two differ only in where one ends. */
function keyOf({ pipeline, state, tracks }: OperationState): string {
  let key = `${pipeline.name} ${state}`
  for (const name of Object.keys(tracks)) {
    const status = tracks[name]?.status ?? null
    key += status === null ? ` ${name}` : ` ${name} ${status.length}:${status}`
  }
  return key
}

function shapeOf({ pipeline, state, tracks }: OperationState): Shape {
  const members = Object.keys(tracks)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(tracks[name]?.status ?? null)}`)
  const text = `{${members.join(',')}}`
  // A function of what it stands for, so that a rebuild and another node come to the same id. 64 bits: among a million
  // shapes, two are alike with a chance of 1 in 37 million.
  const digest = createHash('sha256').update(`${pipeline.name}\n${state}\n${text}`).digest()
  return { id: digest.readBigInt64BE(0), pipeline: pipeline.name, state, tracks: text }
}
