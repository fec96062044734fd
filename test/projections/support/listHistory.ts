import type { JsonObject } from '../../../src/operation/json.ts'
import type { Journal } from './journal.ts'
import { invoice, linear } from './pipelines.ts'

/** Two tracks and no default one; a failed check leaves `review` with a join that cannot be met any more. */
const twoTracks = {
  outOfOrder: 'reject',
  tracks: {
    fraud: {
      initial: 'queued',
      transitions: { queued: ['passed', 'suspect'] },
      final: { passed: 'succeeded', suspect: 'failed' },
    },
    review: {
      initial: 'read',
      transitions: { read: ['done'] },
      final: { done: 'succeeded' },
      requires: { done: [{ track: 'fraud', in: ['passed'] }] },
    },
  },
} as const

/** One track that has the name of others' second one. */
const fraudAlone = {
  outOfOrder: 'advance',
  tracks: { fraud: { initial: 'queued', transitions: { queued: ['passed'] }, final: { passed: 'succeeded' } } },
} as const

/** Many operations with few different values, so that filters meet and orders tie. */
export async function writeListHistory(journal: Journal): Promise<void> {
  await journal.define('invoice', invoice)
  await journal.define('linear', linear)
  await journal.define('checks', fraudAlone)
  await writeReports(journal)
  await writeDescribed(journal)
  await writeChecks(journal, 'xa')
  await journal.define('checks', twoTracks)
  await writeChecks(journal, 'xc')
}

async function writeReports(journal: Journal): Promise<void> {
  const themes = [null, 'red', 'blue', 'red or blue']
  const metadata: readonly JsonObject[] = [
    {},
    { tenant: 'a' },
    { tenant: 'b', priority: 3 },
    { tenant: 'a', priority: 3, urgent: true, nested: { tenant: 'a' } },
    { priority: '3', rate: 1e21 },
  ]
  for (let index = 0; index < 90; index += 1) {
    const id = `${['op', 'op-1', 'x'][index % 3]}${String.fromCharCode(97 + (index % 26))}${index}`
    const pipeline = ['any', 'invoice', 'linear'][(index * 7) % 3] ?? 'any'
    await journal.open(id, { pipeline, theme: themes[index % 4] ?? null, metadata: metadata[index % 5] ?? {} })
    if (index % 4 === 0) journal.pass(1)
    const track = pipeline === 'invoice' ? { track: 'main' } : {}
    const first = { any: 'status1', invoice: 'read', linear: 'status1' }[pipeline]
    if (index % 2 === 0 && first !== undefined) await journal.report(id, first, track)
    if (index % 6 === 0 && pipeline === 'linear') await journal.report(id, 'done')
    if (index % 10 === 0 && pipeline === 'invoice') await journal.report(id, 'suspect', { track: 'fraud' })
    if (index % 5 === 0 && pipeline === 'invoice') await journal.report(id, 'paid', { track: 'main' })
  }
  for (const [place, id] of [...journal.states.keys()].entries()) {
    if (place % 7 === 0) journal.pass(id.length % 3)
    if (place % 7 === 0) await journal.report(id, 'status2', { track: 'main' })
    // Ignored, or merged: heard of, and no progress.
    if (place % 5 === 0) await journal.report(id, 'status1', { track: 'main', data: { place } })
  }
}

/** Opened by a report, and described afterwards: the last event is none that was heard. */
async function writeDescribed(journal: Journal): Promise<void> {
  for (let index = 0; index < 12; index += 1) {
    const id = `late-${index}`
    await journal.report(id, index % 2 === 0 ? 'read' : 'suspect', {
      track: 'main',
      pipeline: index % 2 === 0 ? 'invoice' : 'any',
    })
    if (index % 3 === 0) journal.pass(2)
    await journal.open(id, {
      pipeline: index % 2 === 0 ? 'invoice' : 'any',
      theme: index % 4 === 0 ? 'red' : null,
      data: { index },
    })
  }
}

/** Of whichever version of the pipeline is the newest: in the first `fraud` is the default track, in the second there is none. */
async function writeChecks(journal: Journal, prefix: string): Promise<void> {
  for (let index = 0; index < 24; index += 1) {
    const id = `${prefix}${index}`
    await journal.open(id, { pipeline: 'checks' })
    if (index % 3 === 0) journal.pass(1)
    if (index % 2 === 0) await journal.report(id, index % 4 === 0 ? 'suspect' : 'passed', { track: 'fraud' })
    if (index % 6 === 0) journal.pass(1)
    if (index % 3 === 0) await journal.report(id, 'done', { track: 'review' })
  }
}
