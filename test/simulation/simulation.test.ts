import { describe, expect, it } from 'vitest'
import { type BugName, plantedBugs } from './plants.ts'
import { runSeeds } from './runSeeds.ts'
import { simulate } from './simulate.ts'

/** `npm run simulate` runs as many as one likes, and any one of them again. */
const seeds = 1_000
const seedsATest = 250
/** A planted bug is found by one of the first of them. */
const seedsToFind = 100

describe('the service simulated, under faults of every kind', () => {
  for (let from = 1; from <= seeds; from += seedsATest) {
    it(`seeds ${from} to ${from + seedsATest - 1}: what clients were told is what the log and the rows say`, {
      timeout: 120_000,
    }, async () => {
      const { failed, calls, events } = await runSeeds(Array.from({ length: seedsATest }, (_, index) => from + index))
      expect(failed).toEqual([])
      expect(calls).toBeGreaterThan(seedsATest * 20)
      expect(events).toBeGreaterThan(seedsATest * 10)
    })
  }
})

describe('a seed', () => {
  it('is the same run again, task by task, and another seed another', async () => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 20; seed += 1) {
      const { traceHash } = await simulate(seed)
      expect((await simulate(seed)).traceHash, `seed ${seed}`).toBe(traceHash)
      hashes.add(traceHash)
    }
    expect(hashes.size).toBe(20)
  })
})

describe('a planted bug is found', () => {
  it.each(Object.keys(plantedBugs) as BugName[])('%s', async (name) => {
    const bug = plantedBugs[name]
    const types: readonly string[] = bug.types
    for (let seed = 1; seed <= seedsToFind; seed += 1) {
      const { faults } = await simulate(seed, bug)
      if (faults.some((fault) => types.includes(fault.split(/[ :]/)[0] ?? ''))) return
    }
    expect.unreachable(`not by ${seedsToFind} seeds`)
  })
})
