import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { type Call, isWrite } from './call.ts'
import type { Verdict } from './checkHistory.ts'
import type { FaultType } from './faults.ts'
import { readReadModel } from './readModelRows.ts'
import { rebuildReadModel } from './rebuild.ts'
import { type CleanHistory, recordCleanHistory } from './support/cleanHistory.ts'
import { accepted, laterCalls, report, sealOn, stateOf, undecided } from './support/craft.ts'
import { verdictOnSpoilt, without } from './support/plant.ts'

/** A bug is found when the checker says what it is, and names the stream. */
function expectFound(verdict: Verdict, type: FaultType, stream: string | null = null): void {
  const found = verdict.faults.map((fault) => `${fault.type} ${fault.stream}`)
  expect(found).toContainEqual(stream === null ? expect.stringMatching(`^${type} `) : `${type} ${stream}`)
}

describe('a planted bug in the log', () => {
  let history: CleanHistory

  beforeAll(async () => {
    history = await recordCleanHistory({ seed: 2, callsMin: 1_000 })
  })
  afterAll(() => history?.database.drop({ allowOpen: true }))

  const streamOf = (name: string): readonly RecordedEvent[] =>
    history.log.events.filter(({ stream }) => stream === name)

  /** The last event of a stream, when it was the whole append of a command that was answered as accepted. */
  const lastAccepted = (suits: (event: RecordedEvent) => boolean = () => true): RecordedEvent => {
    const answered = new Set(
      history.calls.flatMap((call) =>
        isWrite(call) && call.answer.kind === 'accepted' ? [`${call.stream} ${call.answer.position}`] : [],
      ),
    )
    const last = new Map(history.log.events.map((event) => [event.stream, event]))
    const found = [...last.values()].find(
      (event) => answered.has(`${event.stream} ${event.position}`) && event.revision > 0n && suits(event),
    )
    if (found === undefined) throw new Error('no event suits')
    return found
  }
  const ofOperation = ({ stream }: { readonly stream: string }) => stream.startsWith('operation-')
  const idOf = ({ stream }: { readonly stream: string }) => stream.slice('operation-'.length)

  it('a lost write, in the middle of the log', async () => {
    const lost = lastAccepted(ofOperation)
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query('DELETE FROM waybill_log.events WHERE position = $1', [lost.position])
      return {}
    })
    expectFound(verdict, 'lost_write', lost.stream)
    expectFound(verdict, 'position_order')
  })

  it('lost writes at the end of the log, as without fsync: the log itself is sound', async () => {
    const kept = history.log.head - 20n
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query('DELETE FROM waybill_log.events WHERE position > $1', [kept])
      await admin.query('UPDATE waybill_log.log_head SET position = $1', [kept])
      return {}
    })
    expectFound(verdict, 'lost_write')
    expect(verdict.counts.position_order).toBeUndefined()
  })

  it('a double: the same event again as the next of its stream', async () => {
    const event = lastAccepted(ofOperation)
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query(
        `WITH head AS (UPDATE waybill_log.log_head SET position = position + 1 RETURNING position)
         INSERT INTO waybill_log.events (position, revision, stream_number, id, type, data, metadata)
         SELECT head.position, e.revision + 1, e.stream_number, gen_random_uuid(), e.type, e.data, e.metadata
         FROM waybill_log.events e, head WHERE e.position = $1`,
        [event.position],
      )
      return {}
    })
    expectFound(verdict, 'doubled_write', event.stream)
    expectFound(verdict, 'broken_chain', event.stream)
  })

  it('a forgotten key: the retry is decided anew, and appended in all order', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const body = report('busy', { pipeline: 'any', data: { n: 1 } })
      const calls = laterCalls(history.calls)
      const first = sealOn(null, 'planted', 'k', body)
      const planted = [calls.write('planted', 'k', body, accepted(await append(first.request), 'applied', true))]
      const again = sealOn(first.state, 'planted', 'k', body, 2)
      planted.push(calls.write('planted', 'k', body, accepted(await append(again.request))))
      return { calls: [...history.calls, ...planted] }
    })
    const stream = 'operation-planted'
    expectFound(verdict, 'doubled_write', stream)
    expectFound(verdict, 'receipt_mismatch', stream)
    expect(verdict.counts.broken_chain).toBeUndefined()
  })

  it('a skipped revision', async () => {
    const event = lastAccepted(ofOperation)
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query('UPDATE waybill_log.events SET revision = revision + 1 WHERE position = $1', [event.position])
      return {}
    })
    expectFound(verdict, 'revision_gap', event.stream)
  })

  it("a broken chain: the second link is accepted on the effects of the first, which another node's event displaced", async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const calls = laterCalls(history.calls)
      const opening = { type: 'OpenOperation', pipeline: 'strict' } as const
      const opened = sealOn(null, 'planted', 'open', opening)
      const first = calls.write('planted', 'open', opening, accepted(await append(opened.request), 'opened', true))
      // Node A decides two links; node B's event takes the place of the first.
      const c1 = sealOn(opened.state, 'planted', 'c1', report('read'))
      const c2 = sealOn(c1.state, 'planted', 'c2', report('checked'))
      const b = sealOn(opened.state, 'planted', 'b', report('new', { data: { by: 'b' } }))
      const second = calls.write(
        'planted',
        'b',
        report('new', { data: { by: 'b' } }),
        accepted(await append(b.request)),
      )
      const third = calls.write('planted', 'c1', report('read'), { kind: 'notTaken', code: 'contention' })
      const fourth = calls.write('planted', 'c2', report('checked'), accepted(await append(c2.request)))
      return { calls: [...history.calls, first, second, third, fourth] }
    })
    expectFound(verdict, 'broken_chain', 'operation-planted')
    expectFound(verdict, 'wrong_transition', 'operation-planted')
  })

  it('a refused write that is there', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const event = lastAccepted(({ stream }) => stream.startsWith('operation-any-'))
      const body = report('busy')
      await append(sealOn(stateOf(streamOf(event.stream)), idOf(event), 'refused', body).request)
      const refusal = { kind: 'refused', code: 'transition_not_allowed', revision: String(event.revision) } as const
      return { calls: [...history.calls, laterCalls(history.calls).write(idOf(event), 'refused', body, refusal)] }
    })
    expectFound(verdict, 'refused_in_log')
    expectFound(verdict, 'wrong_refusal')
  })

  it('a write that is there although nothing was to be written, and one that nobody sent', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const opening = { type: 'OpenOperation', pipeline: 'any' } as const
      await append(sealOn(null, 'not-taken', 'k', opening).request)
      await append(sealOn(null, 'nobodys', 'k', opening).request)
      const call = laterCalls(history.calls).write('not-taken', 'k', opening, {
        kind: 'notTaken',
        code: 'log_unavailable',
      })
      return { calls: [...history.calls, call] }
    })
    expectFound(verdict, 'not_taken_in_log', 'operation-not-taken')
    expectFound(verdict, 'unexplained_event', 'operation-nobodys')
  })

  it('another request under an accepted key', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const opening = { type: 'OpenOperation', pipeline: 'any' } as const
      const receipt = await append(sealOn(null, 'planted', 'k', { ...opening, data: { another: 1 } }).request)
      const call = laterCalls(history.calls).write('planted', 'k', opening, accepted(receipt, 'opened', true))
      return { calls: [...history.calls, call] }
    })
    expectFound(verdict, 'request_mismatch', 'operation-planted')
  })

  it('a status outside the pipeline, and a transition that it does not have, sealed as they should be', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const opening = { type: 'OpenOperation', pipeline: 'strict' } as const
      const calls = laterCalls(history.calls)
      const planted: Call[] = []
      for (const [operation, to] of [
        ['outside', 'elsewhere'],
        ['jump', 'paid'],
      ] as const) {
        const opened = sealOn(null, operation, 'open', opening)
        planted.push(calls.write(operation, 'open', opening, accepted(await append(opened.request), 'opened', true)))
        const data = { track: 'main', from: 'new', to, service: 'planted' }
        const { request } = undecided(opened.state, 'k', report(to), data)
        planted.push(calls.write(operation, 'k', report(to), accepted(await append(request))))
      }
      return { calls: [...history.calls, ...planted] }
    })
    expectFound(verdict, 'wrong_transition', 'operation-outside')
    expectFound(verdict, 'wrong_transition', 'operation-jump')
    expect(verdict.counts.broken_chain).toBeUndefined()
  })

  it('an operation opened with a pipeline that is defined only later', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      // The definition moves to the end of the log, behind the operations that were opened with it.
      await admin.query(
        `WITH head AS (UPDATE waybill_log.log_head SET position = position + 1 RETURNING position)
         UPDATE waybill_log.events e SET position = head.position FROM head
         WHERE e.type = 'PipelineDefined' AND e.stream_number = (SELECT number FROM waybill_log.streams WHERE name = 'pipeline-strict')`,
      )
      return {}
    })
    expectFound(verdict, 'stale_definition')
    expectFound(verdict, 'receipt_mismatch', 'pipeline-strict')
  })

  it('an altered event', async () => {
    const event = lastAccepted(({ stream }) => stream.startsWith('operation-any-'))
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query(
        `UPDATE waybill_log.events SET data = replace(data::text, '"service":"', '"service":"x')::json WHERE position = $1`,
        [event.position],
      )
      return {}
    })
    expectFound(verdict, 'broken_chain', event.stream)
    expectFound(verdict, 'wrong_transition', event.stream)
  })

  it('an event that cannot be read', async () => {
    const event = lastAccepted(ofOperation)
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query(`UPDATE waybill_log.events SET data = '{}' WHERE position = $1`, [event.position])
      return {}
    })
    expectFound(verdict, 'malformed_event', event.stream)
  })

  it('positions out of commit order: of two writes, the one that was answered first comes second', async () => {
    const [earlier, later] = twoInARow()
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query('UPDATE waybill_log.events SET position = -1 WHERE position = $1', [earlier.position])
      await admin.query('UPDATE waybill_log.events SET position = $2 WHERE position = $1', [
        later.position,
        earlier.position,
      ])
      await admin.query('UPDATE waybill_log.events SET position = $1 WHERE position = -1', [later.position])
      // As the answers would have been, had the log given out these positions.
      const swapped = new Map([
        [String(earlier.position), String(later.position)],
        [String(later.position), String(earlier.position)],
      ])
      const calls = history.calls.map((call): Call => {
        if (!isWrite(call) || call.answer.kind !== 'accepted') return call
        return {
          ...call,
          answer: { ...call.answer, position: swapped.get(call.answer.position) ?? call.answer.position },
        }
      })
      return { calls: calls.filter((call) => call.kind !== 'feed') }
    })
    // Writes between the two are out of order as well, and not every fault of a kind is listed.
    expectFound(verdict, 'real_time_order')
  })

  /** Last events of two streams, the second sent after the first was answered. */
  function twoInARow(): readonly [RecordedEvent, RecordedEvent] {
    const earlier = lastAccepted(ofOperation)
    const answered = history.calls.find(
      (call) => isWrite(call) && call.answer.kind === 'accepted' && call.answer.position === String(earlier.position),
    )
    /** Of a key that was sent again, only the first sending says when its write began. */
    const firstSent = new Map<string, number>()
    for (const call of history.calls) {
      if (isWrite(call)) firstSent.set(call.key, Math.min(call.startUs, firstSent.get(call.key) ?? call.startUs))
    }
    const answeredUs = answered?.endUs ?? Number.POSITIVE_INFINITY
    const sentAfter = (key: string): boolean => (firstSent.get(key) ?? 0) > answeredUs
    const later = lastAccepted(
      (event) =>
        ofOperation(event) &&
        event.stream !== earlier.stream &&
        sentAfter((JSON.parse(event.metadata) as { command: string }).command),
    )
    return [earlier, later]
  }

  it('a projector that skips an event: the last of a stream, or one in its middle', async () => {
    const last = lastAccepted(({ stream }) => stream.startsWith('operation-any-'))
    const [, middle] = streamOf(last.stream)
    for (const [skipped, type] of [
      [last, 'read_model_row'],
      [middle, 'read_model_parked'],
    ] as const) {
      const verdict = await verdictOnSpoilt(history, async ({ connectionString }) => {
        await rebuildReadModel(connectionString, (log) => without(log, skipped?.position ?? 0n))
        return { readModel: true, rebuilt: history.readModel }
      })
      expectFound(verdict, type, last.stream)
      expectFound(verdict, 'rebuild_differs')
    }
  })

  it('a projector that has stopped', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ append }) => {
      const opening = { type: 'OpenOperation', pipeline: 'any' } as const
      const receipt = await append(sealOn(null, 'planted', 'k', opening).request)
      const call = laterCalls(history.calls).write('planted', 'k', opening, accepted(receipt, 'opened', true))
      return { calls: [...history.calls, call], readModel: true }
    })
    expectFound(verdict, 'read_model_checkpoint')
    expectFound(verdict, 'read_model_row', 'operation-planted')
  })

  it('a count in the read model that is none of the rows', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ admin }) => {
      await admin.query(
        'UPDATE waybill_read.shapes SET operations = operations + 1 WHERE id = (SELECT min(id) FROM waybill_read.shapes WHERE operations > 0)',
      )
      return { readModel: true }
    })
    expectFound(verdict, 'read_model_row')
  })

  it('is told from a copy that nobody has spoilt', async () => {
    const verdict = await verdictOnSpoilt(history, async ({ connectionString }) => {
      const before = await readReadModel(connectionString)
      await rebuildReadModel(connectionString)
      expect(await readReadModel(connectionString)).toEqual(before)
      return { readModel: true, rebuilt: before }
    })
    expect(verdict.faults).toEqual([])
  })
})
