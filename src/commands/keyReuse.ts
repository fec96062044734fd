import type { Refusal } from '../operation/decision.ts'

export interface KeyReuseCounts {
  /** The same sender had used it. */
  readonly same: number
  /** Another one had. */
  readonly another: number
}

/** Refusals of idempotency keys that were used for another request, counted by who had used them. */
export interface KeyReuse {
  /** @param firstSender the actor who used the key first; `sender`: the one who is refused */
  refusal(subject: 'operation' | 'pipeline' | 'projection', sender: string, firstSender: string): Refusal
  readonly counts: () => KeyReuseCounts
}

/**
 * A sender that meets its own key has a fault in its making of keys. One that meets another's has that too, or the other
 * one uses up keys that it foresees, so that reports are never recorded: somebody should look.
 */
export function createKeyReuse(): KeyReuse {
  let same = 0
  let another = 0
  return {
    refusal(subject, sender, firstSender) {
      const isOwn = sender === firstSender
      if (isOwn) same += 1
      else another += 1
      // Neither who it was nor what for: the sender may not be allowed to read either.
      const by = isOwn ? '' : ' by another sender'
      const detail = `This idempotency key was used${by} for another request on this ${subject}; send yours with a key of its own`
      return { code: 'key_reused', detail }
    },
    counts: () => ({ same, another }),
  }
}
