import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import type { ConfirmedState, Folding } from '../../src/projections/folding.ts'
import { FoldMemory } from '../../src/projections/foldMemory.ts'
import { Journal } from './support/journal.ts'

const operations = ['op-1', 'op-2', 'op-3']

/** What the batch would write, whatever way it was come to. */
function batchOf(folding: Folding) {
  const { writes, ...rest } = folding.finish()
  const bySubject = writes.map((write) => ({ ...write, shape: undefined, shapeBefore: undefined }))
  return { ...rest, writes: bySubject.sort((a, b) => (a.stream < b.stream ? -1 : 1)) }
}

describe('a batch of which some operations are recognised', () => {
  it('is written as if all of it were folded, also where an event of a newer schema ends it early', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ operation: fc.constantFrom(...operations), value: fc.nat(3) }), {
          minLength: 1,
          maxLength: 20,
        }),
        fc.subarray(operations),
        fc.option(fc.nat(30), { nil: null }),
        async (history, known, newerAt) => {
          const journal = new Journal(createMemoryEventLog())
          for (const { operation, value } of history) {
            const body = { type: 'ReportStatus', service: 's', status: `v${value}`, pipeline: 'any' } as const
            await journal.submit(operation, { ...body, data: { value } })
          }
          const events = (await journal.log.readAll({ after: 0n, maxCount: 1_000 })).map((event, index) =>
            index === newerAt
              ? { ...event, metadata: event.metadata.replace(/"schemaVersion":\d+/, '"schemaVersion":99') }
              : event,
          )
          // An event of a newer schema was written by another node: this one has no state that includes it.
          const foreign = newerAt === null ? undefined : events[newerAt]?.stream
          const confirmed: ConfirmedState = (operation) =>
            known.includes(operation) && foreign !== `operation-${operation}`
              ? (journal.states.get(operation) ?? null)
              : null
          const fold = async (states?: ConfirmedState) => {
            const memory = new FoldMemory(1_000_000, journal.log)
            const folding = memory.folding(0n)
            await memory.fold({ loadStates: async () => [] }, folding, events, states)
            return batchOf(folding)
          }
          expect(await fold(confirmed)).toEqual(await fold())
        },
      ),
      { numRuns: 300 },
    )
  })
})
