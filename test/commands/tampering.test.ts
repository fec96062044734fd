import { describe, expect, it, vi } from 'vitest'
import { createCommandService } from '../../src/commands/createCommandService.ts'
import { Journal } from '../projections/support/journal.ts'
import { linear } from '../projections/support/pipelines.ts'
import { tamperingBench } from '../projections/support/tamperingBench.ts'
import { fiveEvents, tamperedForms } from '../support/tamperedForms.ts'
import { codeOf, open, report } from './node.ts'

const bench = tamperingBench()
const { emptyLog, openLog } = bench

/** A node that holds nothing in memory. */
async function coldNode() {
  const log = await openLog()
  const error = vi.fn()
  const logger = { error, warn: vi.fn() }
  return { log, error, commands: createCommandService({ log, clock: Date.now, logger }) }
}

describe('a command on an operation that was tampered with', () => {
  it('is not taken by a node that has to read it, nor is anything written; all others are', async () => {
    const journal = new Journal(await emptyLog())
    await fiveEvents(journal, 'intact')
    const forms = tamperedForms(bench.tampering)
    for (const [id] of forms) await fiveEvents(journal, id)
    for (const [id, tamper] of forms) await tamper(id)
    const { log, error, commands } = await coldNode()
    const head = await log.head()
    // Where an event is in the log is no business of its operation's, and what the chain cannot show nobody knows.
    const broken = forms.filter(([id, , at]) => at !== null && id !== 'places-swapped').map(([id]) => id)
    for (const id of broken) {
      expect(codeOf(await commands.submit(report(id, 'key-1', 'later'))), id).toBe('tampered')
      await expect(commands.load(id), id).rejects.toMatchObject({ name: 'UnreadableStreamError' })
    }
    expect(await log.head()).toBe(head)
    expect(commands.metrics.unreadable()).toBe(2 * broken.length)
    expect(new Set(error.mock.calls.map(([, message]) => message))).toEqual(new Set(['stream tampered with']))
    expect(codeOf(await commands.submit(report('intact', 'key-1', 'later')))).toBe('accepted')
    await commands.drain()
  })

  it('that comes a second time is not answered with a receipt that was tampered with', async () => {
    const log = await emptyLog()
    const first = createCommandService({ log, clock: Date.now, limits: { receiptsMax: 1 } })
    await first.submit(open('op-1', 'key-0'))
    for (const n of [1, 2, 3]) await first.submit(report('op-1', `key-${n}`, `status${n}`))
    expect(codeOf(await first.submit(report('op-1', 'key-1', 'status1')))).toBe('accepted')
    await bench.tampering.change('operation-op-1', 1, 'data', (text) => text.replace('status1', 'status9'))
    expect(codeOf(await first.submit(report('op-1', 'key-1', 'status1')))).toBe('tampered')
    // What this node holds in memory is what was appended: it goes on.
    expect(codeOf(await first.submit(report('op-1', 'key-4', 'status4')))).toBe('accepted')
    await first.drain()
  })
})

describe('what became of a command', () => {
  it('is not told from an event that was tampered with', async () => {
    const log = await emptyLog()
    const commands = createCommandService({ log, clock: Date.now })
    const definition = { ...linear, outOfOrder: 'hold' }
    await commands.definePipeline({ name: 'holding', definition, key: 'define', actor: 'tester' })
    await commands.submit(open('op-1', 'open', { pipeline: 'holding' }))
    await commands.submit(report('op-1', 'early', 'status2'))
    await commands.submit(report('op-1', 'in-turn', 'status1'))
    expect(await commands.outcome('op-1', 'early')).toMatchObject({
      receipt: { outcome: 'held' },
      now: { outcome: 'applied', revision: 3n },
    })
    await bench.tampering.change('operation-op-1', 3, 'data', (text) => text.replace('status2', 'status9'))
    await expect(commands.outcome('op-1', 'early')).rejects.toMatchObject({ cause: { name: 'TamperedError' } })
    // In the append of another command: of that, the receipt.
    await expect(commands.outcome('op-1', 'in-turn')).rejects.toMatchObject({ cause: { name: 'TamperedError' } })
    expect(await commands.outcome('op-1', 'open')).toMatchObject({ receipt: { outcome: 'opened' } })
    await commands.drain()
  })
})

describe('a pipeline that was tampered with', () => {
  it('opens no operation and decides none, in any version from there on', async () => {
    const journal = new Journal(await emptyLog())
    await journal.define('linear', linear)
    await journal.open('op-1', { pipeline: 'linear' })
    await journal.define('linear', { ...linear, outOfOrder: 'reject' })
    await journal.open('op-2', { pipeline: 'linear' })
    const codes = async () => {
      const { commands } = await coldNode()
      const sent = [
        report('op-1', crypto.randomUUID(), 'status1'),
        report('op-2', crypto.randomUUID(), 'status1'),
        open(`op-${crypto.randomUUID()}`, 'open', { pipeline: 'linear' }),
      ]
      const results = []
      for (const command of sent) results.push(codeOf(await commands.submit(command)))
      await commands.drain()
      return results
    }
    const lie = (text: string) => text.replace('reject', 'hold')
    await bench.tampering.change('pipeline-linear', 1, 'data', lie)
    expect(await codes()).toEqual(['accepted', 'tampered', 'tampered'])
    await bench.tampering.change('pipeline-linear', 1, 'data', (text) => text.replace('hold', 'reject'))
    await bench.tampering.change('pipeline-linear', 0, 'data', (text) => text.replace('fill', 'record'))
    expect(await codes()).toEqual(['tampered', 'tampered', 'tampered'])
    // Its own hash made anew: what comes after it tells.
    await bench.tampering.hashAnew('pipeline-linear', 0, 0)
    expect(await codes()).toEqual(['tampered', 'tampered', 'tampered'])
  })
})
