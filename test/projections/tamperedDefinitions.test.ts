// Streams that other streams are folded by, tampered with: those of pipelines, and that of what operators did.
import { describe, expect, it } from 'vitest'
import { interventionStream } from '../../src/projections/parking/interventions.ts'
import { Journal } from './support/journal.ts'
import { linear } from './support/pipelines.ts'
import { caughtUp, parked, shown, tamperingBench } from './support/tamperingBench.ts'

const bench = tamperingBench()
const { emptyLog, openLog, start } = bench

const stream = (id: string): string => `operation-${id}`

describe('the stream of a pipeline', () => {
  it('that was tampered with defines nothing from there on: operations that need it are set aside', async () => {
    const journal = new Journal(await emptyLog())
    await journal.define('linear', linear)
    await journal.open('op-1', { pipeline: 'linear' })
    await journal.define('linear', { ...linear, outOfOrder: 'reject' })
    await journal.open('op-2', { pipeline: 'linear' })
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual({})
    await bench.tampering.change('pipeline-linear', 1, 'data', (text) => text.replace('reject', 'hold'))
    await projections.projector.rebuild()
    expect(await parked(projections)).toEqual({
      'pipeline-linear': [1n, 'tampered'],
      [stream('op-2')]: [0n, 'unknown_pipeline'],
    })
    expect((await projections.readModel.pipelines(100)).value).toMatchObject([{ version: 1 }])
    await bench.tampering.hashAnew('pipeline-linear', 1)
    await bench.tampering.change('pipeline-linear', 0, 'data', (text) => text.replace('fill', 'record'))
    await projections.projector.rebuild()
    expect(await parked(projections)).toMatchObject({
      'pipeline-linear': [0n, 'tampered'],
      [stream('op-1')]: [0n, 'unknown_pipeline'],
    })
  })

  it('goes on after a restart, and not on another event than was folded', async () => {
    const journal = new Journal(await emptyLog())
    await journal.define('linear', linear)
    const first = start(await openLog())
    await caughtUp(first, journal)
    await first.close()
    await journal.define('linear', { ...linear, outOfOrder: 'reject' })
    const second = start(await openLog())
    await caughtUp(second, journal)
    expect(await parked(second)).toEqual({})
    await second.close()
    await bench.tampering.change('pipeline-linear', 1, 'data', (text) => text.replace('reject', 'hold'))
    await bench.tampering.hashAnew('pipeline-linear', 1)
    await journal.define('linear', linear)
    const third = start(await openLog())
    await caughtUp(third, journal)
    expect(await parked(third)).toEqual({ 'pipeline-linear': [2n, 'tampered'] })
  })
})

describe('the stream of what operators did', () => {
  it('does nothing from there on where it was tampered with', async () => {
    const journal = new Journal(await emptyLog())
    for (const id of ['op-1', 'op-2', 'op-3']) {
      await journal.open(id)
      await journal.poison(id)
      await journal.report(id, 'seen')
    }
    for (const id of ['op-1', 'op-2', 'op-3']) await journal.skip(id, 1n)
    const projections = start(await openLog())
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual({})
    await bench.tampering.change(interventionStream, 1, 'data', (text) => text.replace('op-2', 'op-9'))
    await projections.projector.rebuild()
    const set = {
      [interventionStream]: [1n, 'tampered'],
      [stream('op-2')]: [1n, 'malformed_event'],
      [stream('op-3')]: [1n, 'malformed_event'],
    }
    expect(await parked(projections)).toEqual(set)
    expect(await shown(projections, 'op-1')).toMatchObject({ revision: 2n, parked: null })
    // Nor what comes later, on whichever node.
    await journal.skip('op-3', 1n)
    await caughtUp(projections, journal)
    expect(await parked(projections)).toEqual(set)
    await projections.close()
    const other = start(await openLog())
    await journal.skip('op-3', 1n)
    await caughtUp(other, journal)
    expect(await parked(other)).toEqual(set)
  })
})
