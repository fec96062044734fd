import { expect, test } from 'vitest'
import type { AppendOutcome, AppendRequest } from '../../src/eventlog/eventLog.ts'
import { type Decided, transact } from '../../src/eventlog/transact.ts'

const request: AppendRequest = { stream: 'projection-operations', expectedRevision: 'noStream', events: [] }
const append: Decided<string> = { kind: 'append', request, appended: ({ revision }) => `at ${revision}` }
const appended: AppendOutcome = { kind: 'appended', revision: 3n, position: 9n }
const conflict: AppendOutcome = { kind: 'conflict', actualRevision: 2n }

/** The log's outcomes, one after the other, and how often was decided. */
async function run(outcomes: readonly AppendOutcome[], decide: () => Promise<Decided<string>> = async () => append) {
  const left = [...outcomes]
  let decisions = 0
  const result = await transact(
    async () => left.shift() ?? { kind: 'unknown' },
    2,
    () => {
      decisions += 1
      return decide()
    },
  )
  return { result, decisions, left: left.length }
}

test('what was decided is appended, and its result knows the place', async () => {
  expect(await run([appended])).toEqual({ result: { kind: 'done', result: 'at 3' }, decisions: 1, left: 0 })
})

test('a decision to append nothing asks nothing of the log', async () => {
  const found = await run([appended], async () => ({ kind: 'nothing', result: 'unchanged' }))
  expect(found).toEqual({ result: { kind: 'done', result: 'unchanged' }, decisions: 1, left: 1 })
})

test('what lost against another is decided again, as often as is allowed', async () => {
  for (const lost of [conflict, { kind: 'duplicate' }, { kind: 'untried' }] as const) {
    expect(await run([lost, lost, appended])).toEqual({
      result: { kind: 'done', result: 'at 3' },
      decisions: 3,
      left: 0,
    })
  }
  const result = { kind: 'failed', code: 'contention' }
  expect(await run([conflict, conflict, conflict, appended])).toEqual({ result, decisions: 3, left: 1 })
})

test('a refusal of the log, and its silence, end it', async () => {
  const rejected = { kind: 'rejected', reason: 'too_large' } as const
  expect((await run([rejected, appended])).result).toEqual(rejected)
  expect((await run([{ kind: 'unavailable' }, appended])).result).toEqual({ kind: 'failed', code: 'log_unavailable' })
  expect((await run([{ kind: 'unknown' }, appended])).result).toEqual({ kind: 'failed', code: 'outcome_unknown' })
})

test('what a decision throws is thrown, and nothing is appended', async () => {
  const thrown = run([appended], async () => {
    throw new Error('refused by a check')
  })
  await expect(thrown).rejects.toThrow('refused by a check')
})
