import { expect, test } from 'vitest'
import { normaliseDefinition } from '../../src/operation/definition.ts'

const track = { initial: 'a', transitions: { a: ['b'] }, final: { b: 'succeeded' } }
const tracks = (main: object, others: object = {}) => ({ outOfOrder: 'reject', tracks: { main, ...others } })

test.each([
  ['needs at least one final status', '/tracks/main/final', tracks({ ...track, transitions: { a: ['a'] }, final: {} })],
  [
    'a final status has no transitions',
    '/tracks/main/transitions/b',
    tracks({ ...track, transitions: { a: ['b'], b: ['a'] } }),
  ],
  [
    'a status without transitions must be final',
    '/tracks/main/transitions/c',
    tracks({ ...track, transitions: { a: ['b', 'c'], c: [] } }),
  ],
  [
    'there is no track "nowhere"',
    '/tracks/other/startsWhen/track',
    tracks(track, { other: { ...track, startsWhen: { track: 'nowhere', in: ['b'] } } }),
  ],
  [
    'names a track',
    '/tracks/other/startsWhen/track',
    tracks(track, { other: { ...track, startsWhen: { track: 7, in: ['b'] } } }),
  ],
])('a definition is told: %s', (detail, pointer, definition) => {
  const checked = normaliseDefinition(definition)
  expect(checked.kind === 'invalid' ? checked.errors : []).toContainEqual({ pointer, detail })
})
