import type { AppendOutcome, AppendRequest } from './eventLog.ts'

/** What was decided on a stream as it stands. */
export type Decided<T> =
  /** There is nothing to append. */
  | { readonly kind: 'nothing'; readonly result: T }
  | {
      readonly kind: 'append'
      /** Its expected revision is that of the stream the decision rests on. */
      readonly request: AppendRequest
      readonly appended: (place: { readonly revision: bigint; readonly position: bigint }) => T
    }

export type Transacted<T> =
  | { readonly kind: 'done'; readonly result: T }
  | { readonly kind: 'rejected'; readonly reason: 'too_large' | 'invalid' }
  /** Nothing was appended but with `outcome_unknown`; all are safe to send again. */
  | { readonly kind: 'failed'; readonly code: 'contention' | 'log_unavailable' | 'outcome_unknown' }

/**
 * Decides on a stream and appends what was decided; where somebody else has appended meanwhile, decides anew on what is
 * there then, `conflictsMax` times at most. `decide` reads the stream each time, and what it throws is thrown.
 *
 * For streams that change seldom: those of operations are decided many at a time (appendBatcher.ts).
 */
export async function transact<T>(
  append: (request: AppendRequest) => Promise<AppendOutcome>,
  conflictsMax: number,
  decide: () => Promise<Decided<T>>,
): Promise<Transacted<T>> {
  for (let conflicts = 0; conflicts <= conflictsMax; conflicts += 1) {
    const decided = await decide()
    if (decided.kind === 'nothing') return { kind: 'done', result: decided.result }
    const outcome = await append(decided.request)
    switch (outcome.kind) {
      case 'appended':
        return { kind: 'done', result: decided.appended({ revision: outcome.revision, position: outcome.position }) }
      case 'conflict':
      case 'duplicate':
      case 'untried':
        continue
      case 'rejected':
        return outcome
      case 'unavailable':
        return { kind: 'failed', code: 'log_unavailable' }
      case 'unknown':
        return { kind: 'failed', code: 'outcome_unknown' }
      default:
        return outcome satisfies never
    }
  }
  return { kind: 'failed', code: 'contention' }
}
