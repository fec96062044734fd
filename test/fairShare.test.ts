import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FairShare, type Lease } from '../src/runtime/fairShare.ts'

const max = 12
const owners = ['a', 'b', 'c', 'd', 'e']

type Act =
  | { readonly kind: 'take'; readonly owner: string; readonly amount: number; readonly isReclaimable: boolean }
  | { readonly kind: 'hold'; readonly owner: string; readonly amount: number }
  | { readonly kind: 'grow' | 'keep' | 'release'; readonly at: number; readonly amount: number }

const owner = fc.constantFrom(...owners)
const amount = fc.integer({ min: 1, max: 4 })
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('take' as const), owner, amount, isReclaimable: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), owner, amount }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom('grow' as const, 'keep' as const, 'release' as const),
        at: fc.nat(),
        amount,
      }),
    },
  ),
  { maxLength: 80 },
)

interface Held {
  readonly lease: Lease
  readonly owner: string
  amount: number
  isKept: boolean
}

/** Does what a run says, and sees after each act that what the share says is the sum of what is held. */
class Model {
  readonly share = new FairShare(max)
  readonly held = new Set<Held>()
  overMax = 0

  of(wanted: string): number {
    let sum = 0
    for (const { owner: own, amount: held } of this.held) if (own === wanted) sum += held
    return sum
  }

  take(own: string, wanted: number, isReclaimable: boolean): boolean {
    const before = new Map(owners.map((name) => [name, this.of(name)]))
    let held: Held | null = null
    const onReclaim = () => {
      expect(held?.isKept, 'what is kept is not reclaimed').toBe(false)
      if (held !== null) this.held.delete(held)
    }
    const lease = this.share.take(own, wanted, isReclaimable ? onReclaim : undefined)
    if (lease !== null) {
      held = { lease, owner: own, amount: wanted, isKept: !isReclaimable }
      this.held.add(held)
    }
    for (const [name, had] of before) {
      if (name === own || this.of(name) === had) continue
      expect(this.of(name), 'who gave back holds no less than who took').toBeGreaterThanOrEqual(
        (before.get(own) ?? 0) + wanted,
      )
    }
    return lease !== null
  }

  do(act: Act): void {
    if (act.kind === 'take') this.take(act.owner, act.amount, act.isReclaimable)
    else if (act.kind === 'hold') {
      this.held.add({
        lease: this.share.hold(act.owner, act.amount),
        owner: act.owner,
        amount: act.amount,
        isKept: true,
      })
      this.overMax = Math.max(this.overMax, this.share.taken - max)
    } else {
      const held = [...this.held][act.at % Math.max(1, this.held.size)]
      if (held === undefined) return
      if (act.kind === 'release') {
        held.lease.release()
        held.lease.release()
        this.held.delete(held)
        expect(held.lease.grow(1), 'what is released does not grow').toBe(false)
      } else if (act.kind === 'keep') {
        held.lease.keep()
        held.isKept = true
      } else if (held.lease.grow(act.amount)) held.amount += act.amount
    }
  }

  check(): void {
    let sum = 0
    for (const name of owners) {
      expect(this.share.of(name)).toBe(this.of(name))
      sum += this.of(name)
    }
    expect(this.share.taken).toBe(sum)
    expect(this.share.taken).toBeLessThanOrEqual(max + this.overMax)
    expect(this.share.owners).toBe(new Set([...this.held].map(({ owner: name }) => name)).size)
  }
}

describe('a fair share', () => {
  test('is never above its bound but by what is there already, counts exactly, and keeps nothing of who holds nothing', () => {
    fc.assert(
      fc.property(acts, (run) => {
        const model = new Model()
        for (const act of run) {
          model.do(act)
          model.check()
        }
        for (const { lease } of model.held) lease.release()
        expect([model.share.taken, model.share.owners]).toEqual([0, 0])
      }),
      { numRuns: 500 },
    )
  })

  test('however many flood, an owner gets what is its part, and keeps it', () => {
    fc.assert(
      fc.property(
        fc.array(owner, { maxLength: 100 }),
        fc.integer({ min: 1, max: owners.length }),
        (flood, flooders) => {
          const model = new Model()
          const flooding = owners.slice(0, flooders)
          for (const name of flood) if (flooding.includes(name)) model.take(name, 1, true)
          const part = Math.floor(max / (flooders + 1))
          for (let n = 0; n < part; n += 1) expect(model.take('newcomer', 1, true)).toBe(true)
          for (const name of flood) if (flooding.includes(name)) model.take(name, 1, true)
          expect(model.share.of('newcomer')).toBe(part)
        },
      ),
    )
  })

  test('an owner alone has all of it, and is refused one more', () => {
    const share = new FairShare(3)
    const reclaimed: number[] = []
    for (let n = 0; n < 3; n += 1) expect(share.take('a', 1, () => reclaimed.push(n))).not.toBeNull()
    expect(share.take('a', 1, () => undefined)).toBeNull()
    expect(reclaimed).toEqual([])
    expect(share.counts).toEqual({ max: 3, taken: 3, refused: 1, reclaimed: 0 })
  })

  test('the oldest of who holds the most is reclaimed; what is kept, or was never to be reclaimed, is not', () => {
    const share = new FairShare(4)
    const reclaimed: string[] = []
    const kept = share.take('a', 1, () => reclaimed.push('kept'))
    share.take('a', 1)
    share.take('a', 1, () => reclaimed.push('third'))
    share.take('a', 1, () => reclaimed.push('fourth'))
    kept?.keep()
    expect(share.take('b', 1, () => reclaimed.push('of b'))).not.toBeNull()
    expect(share.take('b', 1, () => reclaimed.push('of b'))).not.toBeNull()
    expect(share.take('b', 1, () => reclaimed.push('of b'))).toBeNull()
    expect(reclaimed).toEqual(['third', 'fourth'])
    expect(share.counts).toEqual({ max: 4, taken: 4, refused: 1, reclaimed: 2 })
  })
})
