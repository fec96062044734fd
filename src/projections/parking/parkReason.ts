import { MalformedEventError } from '../../operation/eventSchemas.ts'
import { RevisionGapError } from '../../operation/fold.ts'
import { TamperedError } from '../../operation/verifyStream.ts'
import { UnknownPipelineError } from '../projectedPipelines.ts'
import { tamperedReason } from '../readModel.ts'

/** The database refused what the stream's event came to. */
export class RefusedByDatabaseError extends Error {
  override readonly name = 'RefusedByDatabaseError'
}

const detailLengthMax = 500

/** Why a stream is set aside, for its row in `parked`: a code of the contract, and a sentence. */
export function parkReason(error: unknown): { readonly reason: string; readonly detail: string } {
  const message = error instanceof Error ? error.message : String(error)
  // Texts of PostgreSQL hold no NUL, and a lone surrogate is no UTF-8.
  const detail = Buffer.from(message.replaceAll('\0', '').slice(0, detailLengthMax)).toString()
  if (error instanceof TamperedError) return { reason: tamperedReason, detail }
  if (error instanceof MalformedEventError) return { reason: 'malformed_event', detail }
  if (error instanceof UnknownPipelineError) return { reason: 'unknown_pipeline', detail }
  if (error instanceof RevisionGapError) return { reason: 'revision_gap', detail }
  if (error instanceof RefusedByDatabaseError) return { reason: 'refused_by_database', detail }
  return { reason: 'fold_failed', detail }
}
