import { z } from 'zod'
import { restoreState, serialiseState } from '../operation/stateJson.ts'
import { addKey, copyOf, emptyKeyFilter, type KeyFilter } from './keyFilter.ts'
import type { FoldedOperation } from './operationLoader.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'

/** Raised with every change to what a snapshot holds: one of another version is not restored, but folded again. */
const snapshotVersion = 1

/**
 * JSON text of a folded operation. Of its receipts the keys alone, in a filter: what they were answered is in the log
 * (correctness.md row 5).
 */
export function serialiseSnapshot({ state, position, receipts }: Confirmed): string {
  const keys = receipts.forgotten === null ? emptyKeyFilter() : copyOf(receipts.forgotten)
  for (const key of receipts.recent.keys()) addKey(keys, key)
  const { name, version } = state.pipeline
  const snapshot: z.infer<typeof snapshotSchema> = {
    snapshotVersion,
    pipeline: { name, version },
    position: position.toString(),
    state: serialiseState(state),
    keys: keys.blocks.map(({ bits, capacity, size }) => ({
      bits: Buffer.from(bits.buffer, bits.byteOffset, bits.byteLength).toString('base64'),
      capacity,
      size,
    })),
  }
  return JSON.stringify(snapshot)
}

export type Confirmed = FoldedOperation & { readonly state: NonNullable<FoldedOperation['state']> }

/** Null for what this version does not restore. Throws for a text that is none of ours, and what `catalog.version` throws. */
export async function restoreSnapshot(text: string, catalog: PipelineCatalog): Promise<Confirmed | null> {
  const value: unknown = JSON.parse(text)
  if (!ofThisVersion.safeParse(value).success) return null
  const { pipeline, position, state: stateText, keys } = snapshotSchema.parse(value)
  const record = await catalog.version(pipeline.name, pipeline.version)
  if (record === null) return null
  const state = restoreState(stateText, () => record.pipeline)
  if (state === null) return null
  const forgotten: KeyFilter = {
    blocks: keys.map(({ bits, capacity, size }) => ({ bits: bitsOf(bits), capacity, size })),
  }
  return { state, position: BigInt(position), receipts: { recent: new Map(), forgotten } }
}

/** Numbers of the byte order it was written with, which is that of all processors Node runs on but one or two. */
function bitsOf(base64: string): Uint32Array {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'))
  return new Uint32Array(bytes.buffer)
}

const ofThisVersion = z.looseObject({ snapshotVersion: z.literal(snapshotVersion) })

const snapshotSchema = z.strictObject({
  snapshotVersion: z.literal(snapshotVersion),
  pipeline: z.strictObject({ name: z.string(), version: z.int() }),
  position: z.string().regex(/^\d+$/),
  state: z.string(),
  keys: z.array(z.strictObject({ bits: z.base64(), capacity: z.int(), size: z.int() })),
})
