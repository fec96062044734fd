/** What an owner holds of something that is bounded. */
export interface Place {
  /** Takes more of it; false: there is no room for that, and nothing is taken. */
  grow(amount: number): boolean
  /** From now on nobody is asked to give it back: it ends soon by itself. */
  keep(): void
  /** Can be repeated. */
  release(): void
}

interface Holder {
  amount: number
  places: number
  /** Those that can be taken back, the oldest first. */
  readonly lent: Set<HeldPlace>
}

interface HeldPlace extends Place {
  readonly amount: number
  takeBack(): void
}

/**
 * Divides something bounded (reads, streams, waits, bytes) among those who use it, by max-min fairness. While there is room
 * everybody takes what it likes, so that one owner alone has all of it. Once all is taken, whoever holds the most gives back
 * its oldest place to one who then holds no more than that: so nobody's flood keeps others out, however many flood.
 *
 * A refusal looks at each owner that holds something, taking and releasing at none.
 */
export class FairShare {
  readonly max: number
  readonly #holders = new Map<string, Holder>()
  #taken = 0
  #refused = 0
  #takenBack = 0

  constructor(max: number) {
    this.max = max
  }

  get taken(): number {
    return this.#taken
  }

  /** Since the start: what was refused, and what was taken back for others. */
  get counts(): { readonly refused: number; readonly takenBack: number } {
    return { refused: this.#refused, takenBack: this.#takenBack }
  }

  /** What one owner holds. */
  of(owner: string): number {
    return this.#holders.get(owner)?.amount ?? 0
  }

  /**
   * A place of so much, or null. `takeBack` is called, at most once, when the place goes to another owner; it is released by
   * then. Absent: it is never taken back.
   */
  take(owner: string, amount: number, takeBack?: () => void): Place | null {
    return this.makeRoom(owner, amount) ? this.hold(owner, amount, takeBack) : null
  }

  /** Sees to it that the owner can take so much; false: it cannot. */
  makeRoom(owner: string, amount: number): boolean {
    while (this.#taken + amount > this.max) {
      const place = this.#oldestOfMost(this.of(owner) + amount)
      if (place === null) {
        this.#refused += 1
        return false
      }
      this.#takenBack += 1
      place.takeBack()
    }
    return true
  }

  /** As `take`, whether there is room or not: for what is there already. */
  hold(owner: string, amount: number, takeBack?: () => void): Place {
    const holder = this.#holderOf(owner)
    const add = (more: number) => {
      this.#taken += more
      holder.amount += more
      held += more
    }
    const end = () => {
      if (released) return
      released = true
      holder.lent.delete(place)
      add(-held)
      holder.places -= 1
      if (holder.places === 0) this.#holders.delete(owner)
    }
    let held = 0
    let released = false
    const place: HeldPlace = {
      get amount() {
        return held
      },
      grow: (more) => {
        if (released || !this.makeRoom(owner, more) || released) return false
        add(more)
        return true
      },
      keep: () => void holder.lent.delete(place),
      release: end,
      takeBack: () => {
        end()
        takeBack?.()
      },
    }
    add(amount)
    holder.places += 1
    if (takeBack !== undefined) holder.lent.add(place)
    return place
  }

  #holderOf(owner: string): Holder {
    const holder = this.#holders.get(owner) ?? { amount: 0, places: 0, lent: new Set() }
    this.#holders.set(owner, holder)
    return holder
  }

  /** Of the owner that holds the most: null when without its oldest place it would hold less than `wanted`. */
  #oldestOfMost(wanted: number): HeldPlace | null {
    let most: Holder | null = null
    for (const holder of this.#holders.values()) {
      if (holder.lent.size > 0 && holder.amount > (most?.amount ?? 0)) most = holder
    }
    if (most === null) return null
    for (const place of most.lent) return most.amount - place.amount >= wanted ? place : null
    return null
  }
}
