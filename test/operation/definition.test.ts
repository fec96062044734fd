import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { normaliseDefinition, sameDefinition } from '../../src/operation/definition.ts'
import { anyPipeline, compilePipeline } from '../../src/operation/pipeline.ts'
import { pipeline } from './support/ledger.ts'

const chain = {
  initial: 'new',
  transitions: { new: ['a'], a: ['done'] },
  final: { done: 'succeeded' },
}

/** Pointers of the errors, each with its detail. */
function errors(definition: unknown): Record<string, string> {
  const checked = normaliseDefinition(definition)
  if (checked.kind === 'valid') return {}
  return Object.fromEntries(checked.errors.map(({ pointer, detail }) => [pointer, detail]))
}

function tracks(...entries: [string, unknown][]): unknown {
  return { outOfOrder: 'advance', tracks: Object.fromEntries(entries) }
}

function main(change: object): unknown {
  return tracks(['main', { ...chain, ...change }])
}

describe('the short form', () => {
  test('is the long form of one linear track, with all defaults', () => {
    expect(normaliseDefinition({ statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' })).toEqual({
      kind: 'valid',
      definition: {
        outOfOrder: 'advance',
        lateData: 'fill',
        recordIgnored: true,
        tracks: {
          main: {
            initial: 'new',
            transitions: { new: ['status1'], status1: ['status2'], status2: ['done'] },
            final: { done: 'succeeded' },
          },
        },
      },
    })
  })

  test('says the same as that long form, which says the same as itself', () => {
    const short = pipeline({ statuses: ['new', 'a', 'done'], outOfOrder: 'hold' }).definition
    expect(sameDefinition(short, pipeline({ outOfOrder: 'hold', tracks: { main: chain } }).definition)).toBe(true)
    expect(normaliseDefinition(short)).toEqual({ kind: 'valid', definition: short })
  })

  test.each([
    ['/statuses', { statuses: [], outOfOrder: 'hold' }],
    ['/statuses', { statuses: 'new', outOfOrder: 'hold' }],
    ['/statuses/2', { statuses: ['new', 'a', 'new'], outOfOrder: 'hold' }],
    ['/statuses/1', { statuses: ['new', ''], outOfOrder: 'hold' }],
    ['/statuses/1', { statuses: ['new', 7], outOfOrder: 'hold' }],
    ['/statuses/0', { statuses: ['tab\t', 'b'], outOfOrder: 'hold' }],
    ['/statuses/0', { statuses: ['x'.repeat(129), 'b'], outOfOrder: 'hold' }],
    ['/statuses', { statuses: Array.from({ length: 129 }, (_, index) => `s${index}`), outOfOrder: 'hold' }],
    ['/outOfOrder', { statuses: ['new', 'done'] }],
    ['/outOfOrder', { statuses: ['new', 'done'], outOfOrder: 'hold on' }],
    ['/lateData', { statuses: ['new', 'done'], outOfOrder: 'hold', lateData: 'drop' }],
    ['/lateData', { statuses: ['new', 'done'], outOfOrder: 'hold', lateData: null }],
    ['/recordIgnored', { statuses: ['new', 'done'], outOfOrder: 'hold', recordIgnored: null }],
    ['/recordIgnored', { statuses: ['new', 'done'], outOfOrder: 'hold', recordIgnored: 'no' }],
    ['/policy', { statuses: ['new', 'done'], outOfOrder: 'hold', policy: 1 }],
    ['', { statuses: ['new', 'done'], tracks: { main: chain }, outOfOrder: 'hold' }],
    ['', { outOfOrder: 'hold' }],
    ['', []],
    ['', null],
  ])('is refused at %s', (pointer, definition) => {
    expect(Object.keys(errors(definition))).toEqual([pointer])
  })
})

describe('the long form', () => {
  test.each([
    ['/tracks', { outOfOrder: 'hold', tracks: {} }],
    ['/tracks', { outOfOrder: 'hold', tracks: [chain] }],
    ['/tracks/-x', tracks(['-x', chain])],
    ['/tracks/a~1b', tracks(['a/b', chain])],
    ['/tracks', tracks(...Array.from({ length: 33 }, (_, index): [string, unknown] => [`t${index}`, chain]))],
    ['/tracks/main/color', main({ color: 'red' })],
    ['/tracks/main/initial', main({ initial: null })],
    ['/tracks/main/initial', main({ initial: 'nowhere' })],
    ['/tracks/main/transitions', main({ transitions: [] })],
    ['/tracks/main/transitions/a', main({ transitions: { new: ['a'], a: 'done' } })],
    ['/tracks/main/transitions/a/1', main({ transitions: { new: ['a'], a: ['done', 'done'] } })],
    ['/tracks/main/final', main({ final: {} })],
    ['/tracks/main/final/done', main({ final: { done: 'finished' } })],
    ['/tracks/main/startsWhen', main({ startsWhen: null })],
    ['/tracks/main/startsWhen/in', main({ startsWhen: { track: 'main', in: [] } })],
    ['/tracks/main/startsWhen/track', main({ startsWhen: { in: ['new'] } })],
    ['/tracks/main/requires/done', main({ requires: { done: [] } })],
    ['/tracks/main/requires/done/0/on', main({ requires: { done: [{ track: 'main', in: ['a'], on: 1 }] } })],
  ])('is refused at %s for its shape', (pointer, definition) => {
    expect(Object.keys(errors(definition))).toEqual([pointer])
  })

  test('says all that is wrong at once', () => {
    const definition = main({ initial: 7, final: { done: 1 }, transitions: { new: ['a', 'a'] } })
    expect(Object.keys(errors(definition))).toEqual([
      '/tracks/main/initial',
      '/tracks/main/transitions/new/1',
      '/tracks/main/final/done',
    ])
  })

  test('says at most a hundred things', () => {
    const definition = { statuses: Array.from({ length: 120 }, () => 7), outOfOrder: 'hold' }
    const checked = normaliseDefinition(definition)
    expect(checked.kind === 'invalid' && checked.errors.length).toBe(100)
  })

  test.each([
    ['an unknown target', '/tracks/main/transitions/a/1', { transitions: { new: ['a'], a: ['done', 'lost'] } }],
    ['a dead end written out', '/tracks/main/transitions/x', { transitions: { new: ['a', 'x'], a: ['done'], x: [] } }],
    [
      'a final status with transitions',
      '/tracks/main/transitions/done',
      {
        transitions: { new: ['a'], a: ['done'], done: ['end'] },
        final: { done: 'succeeded', end: 'failed' },
      },
    ],
    [
      'a status that cannot be reached',
      '/tracks/main/transitions/island',
      {
        transitions: { new: ['a'], a: ['done'], island: ['done'] },
      },
    ],
    [
      'a final status that cannot be reached',
      '/tracks/main/final/lost',
      { final: { done: 'succeeded', lost: 'failed' } },
    ],
    ['a cycle', '/tracks/main/transitions/a/0', { transitions: { new: ['a'], a: ['new', 'done'] } }],
    ['a transition to itself', '/tracks/main/transitions/a/0', { transitions: { new: ['a'], a: ['a', 'done'] } }],
    ['an unknown track to wait for', '/tracks/main/startsWhen/track', { startsWhen: { track: 'x', in: ['a'] } }],
    ['a start that waits for itself', '/tracks/main/startsWhen', { startsWhen: { track: 'main', in: ['a'] } }],
    [
      'an unknown status to wait for',
      '/tracks/main/requires/done/0/in/1',
      {
        requires: { done: [{ track: 'main', in: ['a', 'z'] }] },
      },
    ],
    [
      'a join of an unknown track',
      '/tracks/main/requires/done/0/track',
      {
        requires: { done: [{ track: 'z', in: ['a'] }] },
      },
    ],
    ['a join on an unknown status', '/tracks/main/requires/z', { requires: { z: [{ track: 'main', in: ['a'] }] } }],
    [
      'a join on the initial status',
      '/tracks/main/requires/new',
      { requires: { new: [{ track: 'main', in: ['a'] }] } },
    ],
    [
      'a join that waits for what comes after',
      '/tracks/main/requires/a/0',
      {
        requires: { a: [{ track: 'main', in: ['done'] }] },
      },
    ],
    ['a join that waits for itself', '/tracks/main/requires/a/0', { requires: { a: [{ track: 'main', in: ['a'] }] } }],
  ])('is refused for %s, at %s', (_what, pointer, change) => {
    expect(Object.keys(errors(main(change)))).toEqual([pointer])
  })

  test('may have cycles unless it advances, but none without a way out', () => {
    const cyclic = { ...chain, transitions: { new: ['a'], a: ['new', 'a', 'done'] } }
    for (const outOfOrder of ['hold', 'reject']) {
      expect(errors({ outOfOrder, tracks: { main: cyclic } })).toEqual({})
      const trap = { ...chain, transitions: { new: ['a', 'trap'], a: ['done'], trap: ['trap2'], trap2: ['trap'] } }
      expect(Object.keys(errors({ outOfOrder, tracks: { main: trap } }))).toEqual([
        '/tracks/main/transitions/trap',
        '/tracks/main/transitions/trap2',
      ])
    }
  })

  test('names every transition that closes a cycle', () => {
    const transitions = { new: ['a'], a: ['b'], b: ['a', 'c'], c: ['new', 'done'] }
    expect(Object.keys(errors(main({ transitions })))).toEqual([
      '/tracks/main/transitions/b/0',
      '/tracks/main/transitions/c/0',
    ])
  })

  test('does not take two ways to one status for a cycle', () => {
    const transitions = { new: ['a', 'b'], a: ['c'], b: ['c'], c: ['new', 'done'] }
    expect(Object.keys(errors(main({ transitions })))).toEqual(['/tracks/main/transitions/c/0'])
  })

  test('may write a final status with an empty list, which is not kept', () => {
    const definition = main({ transitions: { ...chain.transitions, done: [] } })
    expect(errors(definition)).toEqual({})
    expect(sameDefinition(pipeline(definition).definition, pipeline(main({})).definition)).toBe(true)
  })

  test('is refused for starts in a circle, with those that wait for one', () => {
    const waiting = (track: string) => ({ ...chain, startsWhen: { track, in: ['a'] } })
    const definition = tracks(
      ['main', chain],
      ['x', waiting('y')],
      ['y', waiting('x')],
      ['z', waiting('y')],
      ['ok', waiting('main')],
    )
    expect(Object.keys(errors(definition))).toEqual([
      '/tracks/x/startsWhen',
      '/tracks/y/startsWhen',
      '/tracks/z/startsWhen',
    ])
  })

  test('is refused when no track starts by itself', () => {
    expect(errors(main({ startsWhen: { track: 'main', in: ['new'] } }))).toHaveProperty(['/tracks/main/startsWhen'])
  })

  test('is refused for joins that wait for each other', () => {
    const joined = (track: string) => ({ ...chain, requires: { a: [{ track, in: ['a'] }] } })
    expect(Object.keys(errors(tracks(['x', joined('y')], ['y', joined('x')])))).toEqual([
      '/tracks/x/requires/a/0',
      '/tracks/y/requires/a/0',
    ])
  })

  test('is refused for a join on a track that starts only after it', () => {
    const definition = tracks(
      ['main', { ...chain, requires: { done: [{ track: 'side', in: ['new'] }] } }],
      ['side', { ...chain, startsWhen: { track: 'main', in: ['done'] } }],
    )
    expect(Object.keys(errors(definition))).toEqual(['/tracks/main/requires/done/0', '/tracks/side/startsWhen'])
  })

  test('is refused for two conditions that one track cannot both meet', () => {
    const fork = {
      initial: 'new',
      transitions: { new: ['l', 'r'], l: ['done'], r: ['done'] },
      final: { done: 'succeeded' },
    }
    const both = (...statuses: string[]) =>
      tracks(
        ['main', { ...chain, requires: { done: statuses.map((status) => ({ track: 'fork', in: [status] })) } }],
        ['fork', fork],
      )
    expect(Object.keys(errors(both('new', 'l', 'r')))).toEqual(['/tracks/main/requires/done/2'])
    expect(errors(both('new', 'l', 'done'))).toEqual({})
  })

  test('is refused for a join on its own track that no way to it meets', () => {
    const forked = {
      initial: 'new',
      transitions: { new: ['l', 'r'], l: ['end'], r: ['bad'] },
      final: { end: 'succeeded', bad: 'failed' },
      requires: { end: [{ track: 'main', in: ['r'] }] },
    }
    expect(Object.keys(errors(tracks(['main', forked])))).toEqual(['/tracks/main/requires/end/0'])
  })

  test('is refused for a join on its own track that only a way through the status itself meets', () => {
    const cyclic = {
      initial: 'new',
      transitions: { new: ['x', 'y'], x: ['s'], y: ['s'], s: ['y', 'end'] },
      final: { end: 'succeeded' },
      requires: {
        s: [
          { track: 'main', in: ['x'] },
          { track: 'main', in: ['y'] },
        ],
      },
    }
    expect(Object.keys(errors({ outOfOrder: 'hold', tracks: { main: cyclic } }))).toEqual(['/tracks/main/requires/s/1'])
  })

  test('may join on its own track what leads to it on one branch', () => {
    const branched = {
      initial: 'new',
      transitions: { new: ['l', 'r'], l: ['out'], r: ['out'], out: ['end'] },
      final: { end: 'succeeded' },
      requires: { end: [{ track: 'main', in: ['l'] }] },
    }
    expect(errors(tracks(['main', branched]))).toEqual({})
  })

  test('is bounded in conditions, of one join and of all', () => {
    const condition = { track: 'main', in: ['a'] }
    const join = (count: number) => ({ requires: { done: Array.from({ length: count }, () => condition) } })
    expect(errors(main(join(8)))).toEqual({})
    expect(Object.keys(errors(main(join(9))))).toEqual(['/tracks/main/requires/done'])
    const statuses = Array.from({ length: 36 }, (_, index) => `s${index}`)
    const wide = {
      initial: 'new',
      transitions: { new: statuses, ...Object.fromEntries(statuses.map((status) => [status, ['done']])) },
      final: { done: 'succeeded' },
      requires: Object.fromEntries(
        statuses.map((status) => [status, Array.from({ length: 8 }, () => ({ track: 'wide', in: ['new'] }))]),
      ),
    }
    expect(errors(tracks(['wide', wide]))).toEqual({ '/tracks': 'has 288 conditions of joins, and may have 256' })
  })

  test('is bounded in statuses and transitions', () => {
    const statuses = Array.from({ length: 128 }, (_, index) => `s${index}`)
    const targets = {
      transitions: { new: statuses.slice(0, 127), ...Object.fromEntries(statuses.map((s) => [s, ['done']])) },
    }
    expect(errors(main(targets))).toHaveProperty(['/tracks/main/transitions'])
    const dense = Object.fromEntries(statuses.slice(0, 20).map((s) => [s, statuses.slice(20, 80)]))
    expect(errors(main({ transitions: dense }))).toEqual({
      '/tracks/main/transitions': 'has 1200 transitions, and may have 1024',
    })
  })

  test('of the largest size is checked in bounded time', () => {
    const statuses = Array.from({ length: 126 }, (_, index) => `s${index}`)
    const transitions = Object.fromEntries(
      statuses.map((status, index) => [status, [...statuses.slice(index + 1, index + 8), 'done'].slice(0, 8)]),
    )
    const join = Array.from({ length: 8 }, (_, bit) => ({ track: 't0', in: [`s${bit * 10}`] }))
    const large = (index: number): [string, unknown] => [
      `t${index}`,
      {
        initial: 's0',
        transitions,
        final: { done: 'succeeded' },
        ...(index === 0 ? {} : { requires: { done: join } }),
      },
    ]
    const before = process.cpuUsage()
    expect(errors(tracks(...Array.from({ length: 32 }, (_, index) => large(index))))).toEqual({})
    // Some hundreds of milliseconds of processor time.
    expect(process.cpuUsage(before).user / 1e3).toBeLessThan(20_000)
  })
})

describe('statuses', () => {
  test('may be called like members that every object has', () => {
    const text = `{"outOfOrder":"advance","tracks":{"main":{"initial":"__proto__","transitions":{"__proto__":["constructor"]},
      "final":{"constructor":"failed"},"requires":{"constructor":[{"track":"main","in":["__proto__"]}]}}}}`
    const compiled = pipeline(JSON.parse(text))
    expect(compiled.tracks.get('main')?.graph.statuses).toEqual(['__proto__', 'constructor'])
    expect(compiled.tracks.get('main')?.final.get('constructor')).toBe('failed')
    expect(JSON.parse(JSON.stringify(compiled.definition))).toEqual(
      JSON.parse(text.replace('}}}}', '}}},"lateData":"fill","recordIgnored":true}')),
    )
  })

  test('that are not defined are not found among them', () => {
    expect(Object.keys(errors(main({ transitions: { new: ['toString'], toString: ['done'] } })))).toEqual([])
    expect(Object.keys(errors(main({ transitions: { new: ['a', 'valueOf'], a: ['done'] } })))).toEqual([
      '/tracks/main/transitions/new/1',
    ])
  })

  test('may hold spaces and anything printable', () => {
    expect(errors({ statuses: [' ', 'à la carte', '承認済み', '👍🏽', 'a/b~c'], outOfOrder: 'hold' })).toEqual({})
    for (const bad of ['\u0000', '\u007f', '\u0085', '\u2028', '\ud800', 'a\nb']) {
      expect(Object.keys(errors({ statuses: [bad, 'b'], outOfOrder: 'hold' }))).toEqual(['/statuses/0'])
    }
  })
})

describe('any JSON', () => {
  const valid: unknown = {
    outOfOrder: 'advance',
    lateData: 'record',
    recordIgnored: false,
    tracks: {
      main: { ...chain, requires: { done: [{ track: 'side', in: ['a', 'done'] }] } },
      side: { ...chain, startsWhen: { track: 'main', in: ['new'] } },
    },
  }

  test('is judged without a throw, and what is valid stays as it is when it is judged again', () => {
    const judged = (input: unknown): void => {
      const checked = normaliseDefinition(input)
      if (checked.kind === 'invalid') {
        expect(checked.errors.length).toBeGreaterThan(0)
        for (const { pointer } of checked.errors) expect(leadsSomewhere(input, pointer), pointer).toBe(true)
        return
      }
      compilePipeline('p', 1, checked.definition)
      expect(normaliseDefinition(checked.definition)).toEqual(checked)
      expect(normaliseDefinition(JSON.parse(JSON.stringify(checked.definition)))).toEqual(checked)
    }
    judged(valid)
    fc.assert(fc.property(fc.jsonValue(), judged))
    const replacement = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom('a', 'main', 'side', ['a'], {}))
    fc.assert(
      fc.property(fc.nat(), replacement, (place, value) => judged(replaced(valid, place, value))),
      { numRuns: 1_000 },
    )
  })
})

/** Whether a pointer leads to a value, or to a member that a value might have. */
function leadsSomewhere(input: unknown, pointer: string): boolean {
  const steps = pointer.split('/').slice(1)
  const last = steps.pop()
  let at: unknown = input
  for (const step of steps) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return false
    at = Reflect.get(at, name)
  }
  return last === undefined || (typeof at === 'object' && at !== null)
}

/** A copy with one of its values, at whatever depth, replaced. */
function replaced(input: unknown, place: number, value: unknown): unknown {
  let count = 0
  JSON.stringify(input, (_member, item) => {
    count += 1
    return item
  })
  let left = place % count
  return JSON.parse(
    JSON.stringify(input, (_member, item) => {
      left -= 1
      return left === -1 ? value : item
    }),
  )
}

test('definitions that differ in anything else than order are not the same', () => {
  const definition = pipeline(main({ transitions: { new: ['a', 'done'], a: ['done'] } })).definition
  const turned = pipeline(main({ transitions: { a: ['done'], new: ['done', 'a'] } })).definition
  expect(sameDefinition(definition, turned)).toBe(true)
  for (const other of [
    { ...definition, outOfOrder: 'hold' as const },
    { ...definition, lateData: 'record' as const },
    { ...definition, recordIgnored: false },
    pipeline(main({})).definition,
    pipeline(main({ requires: { done: [{ track: 'main', in: ['a'] }] } })).definition,
  ]) {
    expect(sameDefinition(definition, other)).toBe(false)
  }
})

test('the order of conditions, and of statuses within one, makes no other definition', () => {
  const conditions = [
    { track: 'main', in: ['new', 'a'] },
    { track: 'main', in: ['a'] },
  ]
  const turned = [
    { in: ['a'], track: 'main' },
    { in: ['a', 'new'], track: 'main' },
  ]
  const joined = (join: unknown) => pipeline(main({ requires: { done: join } })).definition
  expect(sameDefinition(joined(conditions), joined(turned))).toBe(true)
})

test('pipeline any has one track and no statuses of its own', () => {
  expect(anyPipeline).toMatchObject({ name: 'any', version: 1, any: true, defaultTrack: 'main' })
  expect(compilePipeline('x', 1, anyPipeline.definition).any).toBe(false)
})
