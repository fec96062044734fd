/** What waits, by owner: the owners take turns, and what one owner sent comes in order of arrival. */
export class FairQueue<T> {
  readonly #lines = new Map<string, T[]>()

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  push(owner: string, item: T): void {
    const line = this.#lines.get(owner)
    if (line === undefined) this.#lines.set(owner, [item])
    else line.push(item)
  }

  shift(): T | undefined {
    for (const [owner, line] of this.#lines) {
      const item = line.shift()
      if (line.length === 0) {
        this.#lines.delete(owner)
      } else if (this.#lines.size > 1) {
        // The owner's next item comes after one of each other owner.
        this.#lines.delete(owner)
        this.#lines.set(owner, line)
      }
      return item
    }
    return undefined
  }
}
