import { expect, test } from 'vitest'
import { judge, verdictOn } from '../../bench/report/verdicts.mjs'

test('a target is met at its very value, from the right side', () => {
  const more = { reach: 0.5, aim: 0.6 }
  expect([0.49, 0.5, 0.6].map((value) => verdictOn(more, value))).toEqual(['missed', 'reached', 'aim'])
  const less = { less: true, reach: 15, aim: 8 }
  expect([15.1, 15, 8].map((value) => verdictOn(less, value))).toEqual(['missed', 'reached', 'aim'])
})

test('what has no target is told apart from what was not run', () => {
  expect(verdictOn({}, 3)).toBe('-')
  expect(verdictOn({ reach: 1, aim: 2 }, undefined)).toBe('not run')
})

const figure = {
  name: 'hot',
  title: 'hot operations',
  targets: [
    { id: 'asIs', what: 'as the disk is', unit: '', reach: 3, aim: 5 },
    { id: 'slow', what: 'slowed', unit: '', reach: 5, aim: 10 },
  ],
}

test('a figure that was not run says why, and each says how to run it alone', () => {
  const { alone, lines } = judge(figure, {
    error: null,
    values: { asIs: { value: 4 } },
    notRun: { slow: 'no compiler' },
    memoryMb: 300,
  })
  expect(alone).toBe('npm run bench -- hot')
  expect(lines.map(({ id, verdict, reason }) => [id, verdict, reason])).toEqual([
    ['asIs', 'reached', undefined],
    ['slow', 'not run', 'no compiler'],
    ['memory', 'reached', undefined],
  ])
})

test('a figure that broke keeps what was measured before', () => {
  const { lines } = judge(figure, { error: 'gone', values: { asIs: { value: 4 } }, memoryMb: null })
  expect(lines.map(({ verdict, reason }) => [verdict, reason])).toEqual([
    ['reached', undefined],
    ['not run', 'it broke'],
  ])
})
