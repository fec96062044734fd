interface Owner {
  /** Running bulk requests. */
  requests: number
  commandsInHand: number
}

/**
 * Divides the commands that bulk requests may have in hand at once among the keys that send some, and each key's part among
 * its requests: a bulk request is slowed down by the others and never refused for them, and who sends many at once has no
 * more than who sends one. A key that sends alone has all of it. All together never have more than the limit, however many
 * requests begin at once: what the earlier ones hold beyond their part comes free as their commands are settled.
 *
 * An owner is a key, or without keys the client's address.
 */
export class BulkShare {
  readonly #requestMax: number
  readonly #totalMax: number
  readonly #owners = new Map<string, Owner>()
  #inHand = 0

  constructor(limits: { readonly bulkCommandsMax: number; readonly bulkCommandsTotalMax: number }) {
    this.#requestMax = limits.bulkCommandsMax
    this.#totalMax = limits.bulkCommandsTotalMax
  }

  /** Of all owners. */
  get inHand(): number {
    return this.#inHand
  }

  /** A request of the owner begins. */
  enter(owner: string): void {
    const known = this.#owners.get(owner)
    if (known === undefined) this.#owners.set(owner, { requests: 1, commandsInHand: 0 })
    else known.requests += 1
  }

  /** It ends; what it has in hand is released later. */
  leave(owner: string): void {
    this.#change(owner, -1, 0)
  }

  /** Commands each running request of the owner may have in hand now; at least 1. */
  commandsMax(owner: string): number {
    const requests = this.#owners.get(owner)?.requests ?? 1
    return Math.max(1, Math.min(this.#requestMax, Math.floor(this.#ownerMax / Math.max(1, requests))))
  }

  /** Takes a command of a running request into hand; false: there is no room for it now. */
  take(owner: string): boolean {
    const known = this.#owners.get(owner)
    if (known === undefined || this.#inHand >= this.#totalMax || known.commandsInHand >= this.#ownerMax) return false
    known.commandsInHand += 1
    this.#inHand += 1
    return true
  }

  /** A command that was taken has its result. */
  release(owner: string): void {
    this.#inHand -= 1
    this.#change(owner, 0, -1)
  }

  get #ownerMax(): number {
    return Math.max(1, Math.floor(this.#totalMax / Math.max(1, this.#owners.size)))
  }

  #change(owner: string, requests: number, commands: number): void {
    const known = this.#owners.get(owner)
    if (known === undefined) return
    known.requests += requests
    known.commandsInHand += commands
    if (known.requests <= 0 && known.commandsInHand <= 0) this.#owners.delete(owner)
  }
}
