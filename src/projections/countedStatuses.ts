import { z } from 'zod'

/** Statuses of pipeline `any` that are counted by name. Everything that counts goes over as many rows, or a few times more. */
export const countedStatusesMax = 1_000

/** The one track of pipeline `any`. */
export const anyTrack = 'main'

/** What stands in a shape for all other statuses: no status is empty. */
export const otherStatus = ''

/** What the rest is called where counts are shown. A status of that name counts with it. */
export const otherName = 'other'

/**
 * The statuses of `any` that are counted by name: the first ones in the order of the log, as every event that sets one is
 * seen, whatever batch it comes in. So a rebuild comes to the same ones. They are kept as rows of `shapes`, which are never
 * deleted, and are read back from there.
 */
export class CountedStatuses {
  readonly #names = new Set<string>()

  get isFull(): boolean {
    return this.#names.size >= countedStatusesMax
  }

  has(status: string): boolean {
    return this.#names.has(status)
  }

  /** Whether it is new, and counted by name from now on. */
  see(status: string): boolean {
    if (this.isFull || this.#names.has(status) || status === otherName) return false
    this.#names.add(status)
    return true
  }

  clear(): void {
    this.#names.clear()
  }
}

const statusSet = z.object({ to: z.string() })

/** The status that a `StatusChanged` sets, of an event that is not folded itself. */
export function statusSetBy(data: string): string | null {
  const parsed = statusSet.safeParse(JSON.parse(data))
  return parsed.success ? parsed.data.to : null
}
