import { WakeUp } from '../../../src/runtime/wakeUp.ts'

export interface StandInEvent {
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly id: string
  readonly type: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

export interface Proposed {
  readonly id: string
  readonly type: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

export interface ProposedAppend {
  readonly stream: string
  /** -1n: no stream. */
  readonly expected: bigint
  readonly events: readonly Proposed[]
}

export type StandInAnswer =
  | { readonly kind: 'written'; readonly revision: bigint; readonly position: bigint }
  | { readonly kind: 'conflict'; readonly actual: bigint }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'event_too_large'; readonly id: string }

export const maxAppendSize = 1_048_576

/** What the nodes of a stand-in hold together. Behaves as a real one as far as facts.test.ts says. */
export class StandInStore {
  readonly all: StandInEvent[] = []
  readonly streams = new Map<string, StandInEvent[]>()
  readonly appended = new WakeUp()
  /** As `MaxAppendEventSize`, whose default of 25.1 and later is 16 MiB: of one event. */
  maxAppendEventSize = 16 * 1_048_576
  #position = 1_000n

  append({ stream, expected, events }: ProposedAppend): StandInAnswer {
    // The type counts twice: UTF-16.
    const sizeOf = ({ type, data, metadata }: Proposed) => 2 * type.length + data.length + metadata.length
    const tooLarge = events.find((event) => sizeOf(event) > this.maxAppendEventSize)
    if (tooLarge !== undefined) return { kind: 'event_too_large', id: tooLarge.id }
    if (events.reduce((sum, event) => sum + sizeOf(event), 0) > maxAppendSize) return { kind: 'too_large' }
    const there = this.streams.get(stream) ?? []
    const actual = BigInt(there.length - 1)
    if (expected < actual) {
      const written = there.slice(Number(expected + 1n), Number(expected + 1n) + events.length)
      const last = written.at(-1)
      const isSame = written.length === events.length && written.every(({ id }, index) => id === events[index]?.id)
      if (isSame && last !== undefined) return { kind: 'written', revision: last.revision, position: last.position }
    }
    if (expected !== actual) return { kind: 'conflict', actual }
    for (const event of events) {
      this.#position += BigInt(100 + event.data.length)
      const recorded = { ...event, stream, revision: BigInt(there.length), position: this.#position }
      there.push(recorded)
      this.all.push(recorded)
    }
    this.streams.set(stream, there)
    this.appended.wake()
    return { kind: 'written', revision: BigInt(there.length - 1), position: this.#position }
  }

  /** What a server writes for itself. */
  writeSystemEvents(count: number): void {
    const { stream, type, data, metadata } = { stream: '$stats', type: '$s', data: utf8('{}'), metadata: utf8('') }
    for (let written = 0; written < count; written += 1) {
      const expected = BigInt((this.streams.get(stream)?.length ?? 0) - 1)
      this.append({ stream, expected, events: [{ id: crypto.randomUUID(), type, data, metadata }] })
    }
  }

  /** As after a restore of an older backup: what came later than this position is gone. */
  forgetAfter(position: bigint): void {
    const kept = this.all.filter((event) => event.position <= position)
    this.all.splice(0, this.all.length, ...kept)
    for (const [name, events] of this.streams) {
      const left = events.filter((event) => event.position <= position)
      if (left.length === 0) this.streams.delete(name)
      else this.streams.set(name, left)
    }
  }
}

const utf8 = (text: string): Uint8Array => Buffer.from(text)
