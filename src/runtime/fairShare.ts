/** What an owner holds of something that is bounded. */
export interface Lease {
  /** Takes more of it; false: there is no room for that, and nothing is taken. */
  grow(amount: number): boolean
  /** From now on it is not reclaimed: it ends soon by itself. */
  keep(): void
  /** Can be repeated. */
  release(): void
}

export interface FairShareCounts {
  readonly max: number
  readonly taken: number
  /** Since the start: what was refused, and what was reclaimed for other owners. */
  readonly refused: number
  readonly reclaimed: number
}

interface Holder {
  readonly owner: string
  amount: number
  leases: number
  /** The ends of the list of those that can be reclaimed, in the order in which they were taken. */
  oldest: HeldLease | null
  youngest: HeldLease | null
}

/**
 * Divides something bounded (reads, streams, waits, bytes, commands) among those who use it, by max-min fairness. While there
 * is room everybody takes what it likes, so that one owner alone has all of it. Once all is taken, the oldest lease of the
 * owner that holds the most is reclaimed for one that then holds no more than that owner: so a flood keeps no other owner
 * out, however many owners flood.
 *
 * Taking and releasing cost the same however many owners there are; a refusal and a reclaim look at each owner that holds
 * something.
 */
export class FairShare {
  readonly max: number
  readonly #holders = new Map<string, Holder>()
  #taken = 0
  #refused = 0
  #reclaimed = 0

  constructor(max: number) {
    this.max = max
  }

  get taken(): number {
    return this.#taken
  }

  get counts(): FairShareCounts {
    return { max: this.max, taken: this.#taken, refused: this.#refused, reclaimed: this.#reclaimed }
  }

  /** Owners that hold something. */
  get owners(): number {
    return this.#holders.size
  }

  /** What one owner holds. */
  of(owner: string): number {
    return this.#holders.get(owner)?.amount ?? 0
  }

  /**
   * A lease of so much, or null. `onReclaim` is called, at most once, when the lease goes to another owner; it is released
   * by then. Absent: the lease is never reclaimed.
   */
  take(owner: string, amount: number, onReclaim?: () => void): Lease | null {
    return this.makeRoom(owner, amount) ? this.hold(owner, amount, onReclaim) : null
  }

  /** Sees to it that the owner can take so much; false: it cannot. */
  makeRoom(owner: string, amount: number): boolean {
    while (this.#taken + amount > this.max) {
      const lease = this.#oldestOfMost(this.of(owner) + amount)
      if (lease === null) {
        this.#refused += 1
        return false
      }
      this.#reclaimed += 1
      lease.reclaim()
    }
    return true
  }

  /** As `take`, whether there is room or not: for what is there already. */
  hold(owner: string, amount: number, onReclaim?: () => void): Lease {
    let holder = this.#holders.get(owner)
    if (holder === undefined) {
      holder = { owner, amount: 0, leases: 0, oldest: null, youngest: null }
      this.#holders.set(owner, holder)
    }
    const lease = new HeldLease(this, holder, onReclaim ?? null)
    holder.leases += 1
    lease.add(amount)
    return lease
  }

  /** Called by leases alone. */
  add(holder: Holder, amount: number): void {
    this.#taken += amount
    holder.amount += amount
  }

  /** Called by leases alone. */
  end(holder: Holder, amount: number): void {
    this.add(holder, -amount)
    holder.leases -= 1
    if (holder.leases === 0) this.#holders.delete(holder.owner)
  }

  /** Of the owner that holds the most: null when without its oldest lease it would hold less than `wanted`. */
  #oldestOfMost(wanted: number): HeldLease | null {
    let most: Holder | null = null
    for (const holder of this.#holders.values()) {
      if (holder.oldest !== null && holder.amount > (most?.amount ?? 0)) most = holder
    }
    const lease = most?.oldest ?? null
    return most !== null && lease !== null && most.amount - lease.amount >= wanted ? lease : null
  }
}

class HeldLease implements Lease {
  readonly #share: FairShare
  readonly #holder: Holder
  readonly #onReclaim: (() => void) | null
  #amount = 0
  #isReleased = false
  #isReclaimable: boolean
  #older: HeldLease | null = null
  #younger: HeldLease | null = null

  constructor(share: FairShare, holder: Holder, onReclaim: (() => void) | null) {
    this.#share = share
    this.#holder = holder
    this.#onReclaim = onReclaim
    this.#isReclaimable = onReclaim !== null
    if (onReclaim === null) return
    this.#older = holder.youngest
    if (holder.youngest === null) holder.oldest = this
    else holder.youngest.#younger = this
    holder.youngest = this
  }

  get amount(): number {
    return this.#amount
  }

  add(amount: number): void {
    this.#amount += amount
    this.#share.add(this.#holder, amount)
  }

  grow(amount: number): boolean {
    if (this.#isReleased || !this.#share.makeRoom(this.#holder.owner, amount)) return false
    this.add(amount)
    return true
  }

  keep(): void {
    if (!this.#isReclaimable) return
    this.#isReclaimable = false
    if (this.#older === null) this.#holder.oldest = this.#younger
    else this.#older.#younger = this.#younger
    if (this.#younger === null) this.#holder.youngest = this.#older
    else this.#younger.#older = this.#older
    this.#older = null
    this.#younger = null
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.keep()
    this.#share.end(this.#holder, this.#amount)
  }

  reclaim(): void {
    this.release()
    this.#onReclaim?.()
  }
}
