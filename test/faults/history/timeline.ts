import { type Call, isWrite } from './call.ts'
import type { CommandIndex } from './commandIndex.ts'
import type { Append } from './logIndex.ts'

/** Values that somebody had learned, each by a time; asked for the highest that was known before a time. */
class Knowledge {
  #entries: { readonly us: number; value: bigint }[] = []
  #sorted = true

  add(us: number, value: bigint): void {
    this.#entries.push({ us, value })
    this.#sorted = false
  }

  /** -1n: nothing was known. */
  before(us: number): bigint {
    if (!this.#sorted) this.#sort()
    let [low, high] = [0, this.#entries.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries[middle]?.us ?? 0) < us) low = middle + 1
      else high = middle
    }
    return this.#entries[low - 1]?.value ?? -1n
  }

  #sort(): void {
    this.#entries.sort((one, other) => one.us - other.us)
    let highest = -1n
    for (const entry of this.#entries) {
      if (entry.value > highest) highest = entry.value
      entry.value = highest
    }
    this.#sorted = true
  }
}

/** Who could know what when: what was answered by a time is what every later strong look must hold. */
export class Timeline {
  readonly #revisions = new Map<string, Knowledge>()
  readonly #positions = new Knowledge()
  readonly #commands: CommandIndex

  constructor(calls: readonly Call[], commands: CommandIndex) {
    this.#commands = commands
    for (const call of calls) this.#learn(call)
  }

  /** The stream's highest revision that an answer had shown before then; -1n: not even that there is a stream. */
  revisionKnownBefore(stream: string, us: number): bigint {
    return this.#revisions.get(stream)?.before(us) ?? -1n
  }

  /** The log's highest position that an answer had shown before then; -1n: none. */
  positionKnownBefore(us: number): bigint {
    return this.#positions.before(us)
  }

  /** When the append's command was first sent; Infinity when nobody sent it. */
  firstSentUs({ stream, key, requestHash }: Append): number {
    const command = this.#commands.get(stream)?.get(key)
    return command?.calls.find((call) => call.requestHash === requestHash)?.startUs ?? Number.POSITIVE_INFINITY
  }

  #learn(call: Call): void {
    const { endUs } = call
    if (isWrite(call)) {
      if (call.answer.kind === 'accepted') this.#saw(call.stream, call.answer, endUs)
      return
    }
    if (call.kind === 'read' && call.answer.kind === 'found') {
      this.#saw(`operation-${call.operation}`, call.answer, endUs)
    } else if (call.kind === 'list' && call.answer.kind === 'listed') {
      for (const seen of call.answer.operations) this.#saw(`operation-${seen.operation}`, seen, endUs)
    } else if (call.kind === 'feed' && call.answer.kind === 'events') {
      const last = call.answer.events.at(-1)
      if (last !== undefined) this.#positions.add(endUs, BigInt(last.position))
    }
  }

  #saw(stream: string, seen: { readonly revision: string; readonly position: string }, endUs: number): void {
    let known = this.#revisions.get(stream)
    if (known === undefined) {
      known = new Knowledge()
      this.#revisions.set(stream, known)
    }
    known.add(endUs, BigInt(seen.revision))
    this.#positions.add(endUs, BigInt(seen.position))
  }
}
