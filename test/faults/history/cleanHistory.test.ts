import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkHistory } from './checkHistory.ts'
import { faultText } from './faults.ts'
import { FileRecorder, readHistory } from './recorder.ts'
import { type CleanHistory, recordCleanHistory } from './support/cleanHistory.ts'

describe('what two sound nodes did under clients that race, retry and lose their sessions', () => {
  let history: CleanHistory

  beforeAll(async () => {
    history = await recordCleanHistory({ seed: 1, callsMin: 2_000 })
  })
  afterAll(() => history?.database.drop({ allowOpen: true }))

  it('has no fault, and held something of everything', () => {
    const verdict = checkHistory(history)
    expect(verdict.faults.map(faultText)).toEqual([])
    const { accepted, refused, notTaken, plainReads, minReads, strongReads, feedEvents } = verdict.figures
    for (const count of [accepted, refused, notTaken, plainReads, minReads, strongReads, feedEvents]) {
      expect(count, JSON.stringify(verdict.figures)).toBeGreaterThan(0)
    }
  })

  it('has none either by the log as the service itself gives it', () => {
    expect(history.logOverHttp.events).toEqual(history.log.events)
    expect(checkHistory({ ...history, log: history.logOverHttp }).faults.map(faultText)).toEqual([])
  })

  it('is the same when several processes have written it to files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'waybill-history-'))
    try {
      const recorders = [new FileRecorder(folder, 'one'), new FileRecorder(folder, 'other')] as const
      for (const [index, call] of history.calls.entries()) recorders[index % 2 === 0 ? 0 : 1].record(call)
      await Promise.all(recorders.map((recorder) => recorder.close()))
      const calls = await readHistory(folder)
      expect(calls).toHaveLength(history.calls.length)
      expect(checkHistory({ ...history, calls })).toEqual(checkHistory(history))
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
