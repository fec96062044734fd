import type { OperationState } from '../operation/state.ts'
import type { Shape } from './shape.ts'

/** An operation folded up to the checkpoint, and the shape its row has. */
export interface FoldedOperation {
  readonly state: OperationState
  readonly shape: Shape
  /** Length of its documents' JSON text. (The state's own bounds on them only grow.) */
  readonly dataLength: number
  readonly metadataLength: number
}

/** What an operation costs beside its documents: tracks, held reports, the objects themselves. */
const bytesEach = 2_000
/** A text at rest takes a byte for each unit, or two where a character needs them. The command service of this node may share it. */
const bytesPerRestingUnit = 1
/** A parsed document takes several times the bytes of its text. */
const bytesPerUnit = 3

/**
 * The operations folded last, least recently used ones dropped first, bounded by an estimate of their bytes: a few large
 * documents weigh as much as thousands of small ones.
 */
export class StateCache {
  readonly #entries = new Map<string, FoldedOperation>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get size(): number {
    return this.#entries.size
  }

  get(id: string): FoldedOperation | undefined {
    return this.#entries.get(id)
  }

  /** Makes it the most recently used one. */
  set(id: string, operation: FoldedOperation): void {
    const before = this.#entries.get(id)
    if (before !== undefined) {
      this.#bytes -= weight(before)
      this.#entries.delete(id)
    }
    this.#entries.set(id, operation)
    this.#bytes += weight(operation)
  }

  /** Drops what is too much. Apart from `set`, so that a batch under way loses nothing it has just loaded. */
  trim(): void {
    for (const [id, operation] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return
      this.#entries.delete(id)
      this.#bytes -= weight(operation)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}

function weight({ state, dataLength, metadataLength }: FoldedOperation): number {
  let held = 0
  for (const report of state.held) held += report.bytes
  return bytesEach + bytesPerRestingUnit * (dataLength + metadataLength) + bytesPerUnit * held
}

/** Of so many operations that are being folded, with documents of so many UTF-16 units of JSON text together. */
export function estimatedBytes(operations: number, units: number): number {
  return bytesEach * operations + bytesPerUnit * units
}
