import { describe, expect, it } from 'vitest'
import { Journal } from '../projections/support/journal.ts'
import { linear } from '../projections/support/pipelines.ts'
import { caughtUp, tamperingBench } from '../projections/support/tamperingBench.ts'
import { fiveEvents, tamperedForms } from '../support/tamperedForms.ts'
import { auditing } from './support/auditing.ts'

const bench = tamperingBench()
const { emptyLog, start } = bench
const stream = (id: string): string => `operation-${id}`

/** `put-in-at-the-end` parks the stream as soon as it is projected: it is found all the same. */
const foundIn: Readonly<Record<string, readonly string[]>> = {
  'removed-at-the-end': ['revision'],
  'last-rewritten': ['state.lastHash'],
  'rewritten-as-a-whole': ['state.lastHash'],
}

describe('the self-audit of a log that was tampered with', () => {
  it('says so of every form, while the rows are those of what was appended', async () => {
    const journal = new Journal(await emptyLog())
    const forms = tamperedForms(bench.tampering)
    await fiveEvents(journal, 'intact')
    for (const [id] of forms) await fiveEvents(journal, id)
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    for (const [id, tamper] of forms) await tamper(id)
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().tampering === forms.length)
    expect(sampler.audit.status()).toMatchObject({ tampered: forms.length, drifting: 0, drifted: { operation: 0 } })
    for (const [id] of forms) expect(sampler.fieldsOf(id), id).toEqual(foundIn[id] ?? ['hash chain'])
    for (const { level, fields, message } of sampler.lines) {
      expect([level, message]).toEqual(['error', 'the log was tampered with'])
      expect(fields.stream).toBe(stream(fields.operation ?? ''))
    }
    expect(sampler.lines).toHaveLength(forms.length)
  })

  it('goes on saying so when a rebuild has set the streams aside, of all that the chain shows', async () => {
    const journal = new Journal(await emptyLog())
    const forms = tamperedForms(bench.tampering)
    for (const [id] of forms) await fiveEvents(journal, id)
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    for (const [id, tamper] of forms) await tamper(id)
    await projections.projector.rebuild()
    const shownByChain = forms.filter(([, , at]) => at !== null)
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().tampering === shownByChain.length)
    await sampler.samples(200)
    expect(sampler.audit.status()).toMatchObject({ tampered: shownByChain.length, drifting: 0 })
  })

  it('says so once, and is over when the bytes are what was appended; then the row that is set aside is what drifts', async () => {
    const journal = new Journal(await emptyLog())
    await fiveEvents(journal, 'op-1')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    await bench.tampering.change(stream('op-1'), 2, 'data', (text) => text.replace('said', 'lied'))
    await projections.projector.rebuild()
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().tampering === 1)
    await sampler.samples(50)
    expect(sampler.lines).toHaveLength(1)
    await bench.tampering.change(stream('op-1'), 2, 'data', (text) => text.replace('lied', 'said'))
    await sampler.until(() => sampler.audit.status().tampering === 0)
    expect(sampler.audit.status()).toMatchObject({ tampered: 1, drifting: 1 })
    expect(sampler.lines.at(-1)).toMatchObject({ fields: { differences: [{ field: 'parked.reason' }] } })
    await projections.projector.rebuild()
    await sampler.until(() => sampler.audit.status().drifting === 0)
  })

  it("says so of a pipeline's stream and of that of what operators did, once each", async () => {
    const journal = new Journal(await emptyLog())
    await journal.define('linear', linear)
    for (const id of ['op-1', 'op-2', 'op-3']) await journal.open(id, { pipeline: 'linear' })
    await journal.retry('op-9')
    const projections = start(journal.log)
    await caughtUp(projections, journal)
    await bench.tampering.change('pipeline-linear', 0, 'data', (text) => text.replace('fill', 'record'))
    const sampler = auditing(journal.log, projections)
    await sampler.until(() => sampler.audit.status().tampering === 1)
    await sampler.samples(50)
    expect(sampler.lines.map(({ fields }) => fields.stream)).toEqual(['pipeline-linear'])
    await bench.tampering.change('pipeline-linear', 0, 'data', (text) => text.replace('record', 'fill'))
    await sampler.until(() => sampler.audit.status().tampering === 0)
    await bench.tampering.change('projection-operations', 0, 'data', (text) => text.replace('op-9', 'op-8'))
    await sampler.until(() => sampler.audit.status().tampering === 1)
    await sampler.samples(50)
    expect(sampler.lines.map(({ level, fields }) => [level, fields.stream])).toEqual([
      ['error', 'pipeline-linear'],
      ['info', 'pipeline-linear'],
      ['error', 'projection-operations'],
    ])
    expect(sampler.audit.status()).toMatchObject({ tampered: 2, drifted: { operation: 0 } })
  })
})
