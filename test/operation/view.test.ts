import { describe, expect, test } from 'vitest'
import { anyPipeline } from '../../src/operation/pipeline.ts'
import { restoreState, serialiseState } from '../../src/operation/stateJson.ts'
import { operationBody } from '../../src/operation/view.ts'
import { given, Ledger, linear, pipeline, when } from './support/ledger.ts'

describe('the body of an operation', () => {
  test('is that of the API, but for its position', () => {
    const ledger = new Ledger(linear('hold'))
    ledger.open({ theme: 'dark', data: { x: 1 }, metadata: { m: 'n' } })
    when(ledger, { status: 'a', service: 'ocr', sequence: 1 })
    const held = {
      status: 'done',
      service: 'mail',
      sequence: 3,
      observedAt: '2026-01-01T00:00:00.000Z',
      data: { y: 2 },
    }
    when(ledger, { ...held, metadata: { z: 1 } })
    expect(JSON.parse(operationBody(ledger.current))).toEqual({
      id: 'op-1',
      pipeline: { name: 'invoice', version: 1 },
      theme: 'dark',
      state: 'active',
      blocked: false,
      tracks: {
        main: {
          phase: 'active',
          status: 'a',
          since: '2026-01-01T00:00:02.000Z',
          by: 'ocr',
          observedAt: null,
          heardAt: '2026-01-01T00:00:03.000Z',
          next: [{ status: 'b', ready: true }],
          held: [
            {
              command: 'k3',
              ...held,
              metadata: { z: 1 },
              reason: 'predecessor_missing',
              heldAt: '2026-01-01T00:00:03.000Z',
            },
          ],
        },
      },
      data: { x: 1 },
      metadata: { m: 'n' },
      revision: 2,
      openedAt: '2026-01-01T00:00:01.000Z',
      updatedAt: '2026-01-01T00:00:03.000Z',
    })
  })

  test('shows each phase a track may be in, and held reports at their own track, as they came', () => {
    const side = { initial: 'open', transitions: { open: ['closed'] }, final: { closed: 'succeeded' } }
    const definition = pipeline({
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['a', 'b'], a: ['end'], b: ['end'] },
          final: { end: 'succeeded' },
        },
        later: { ...side, startsWhen: { track: 'main', in: ['end'] } },
        never: { ...side, startsWhen: { track: 'main', in: ['b'] } },
        done: side,
      },
    })
    const ledger = given(
      definition,
      'later:closed',
      'end',
      { track: 'later', status: 'closed', service: 's2' },
      'done:closed',
    )
    const shown = () => {
      const { tracks } = JSON.parse(operationBody(ledger.current))
      return Object.fromEntries(
        Object.entries<{ phase: string; status: string | null; since: string | null; held: { command: string }[] }>(
          tracks,
        ).map(([name, { phase, status, since, held }]) => [
          name,
          [phase, status, since !== null, held.map((one) => one.command)],
        ]),
      )
    }
    expect(shown()).toEqual({
      main: ['active', 'new', true, ['k3']],
      later: ['waiting', null, false, ['k2', 'k4']],
      never: ['waiting', null, false, []],
      done: ['final', 'closed', true, []],
    })
    when(ledger, 'main:a')
    expect(shown()).toMatchObject({ main: ['final', 'end', true, []], never: ['skipped', null, false, []] })
  })

  test('has its members in one order, without spaces, and ends where a position can be put', () => {
    const body = operationBody(given(anyPipeline).current)
    expect(body).toMatch(/^\{"id":"op-1","pipeline":\{"name":"any","version":1\},.*"updatedAt":"[^"]+"\}$/)
    expect(JSON.parse(`${body.slice(0, -1)},"position":"p"}`)).toMatchObject({ position: 'p' })
  })
})

describe('a serialised state', () => {
  // That what is restored equals what was serialised is asked after every command of every test that keeps a ledger.
  const { current, pipeline: definition } = given(linear('hold'), 'b', { status: 'new', data: { x: 1 } })

  test('of another version is not restored, but to be folded again', () => {
    const text = serialiseState(current).replace('"stateVersion":2', '"stateVersion":1')
    expect(restoreState(text, () => definition)).toBeNull()
  })

  test('that is none of ours throws', () => {
    for (const text of ['', '[]', '{"stateVersion":2}', serialiseState(current).replace('"held":', '"hold":')]) {
      expect(() => restoreState(text, () => definition)).toThrow()
    }
  })

  test('asks for its pipeline by name and version', () => {
    const asked: [string, number][] = []
    restoreState(serialiseState(current), (name, version) => {
      asked.push([name, version])
      return definition
    })
    expect(asked).toEqual([['invoice', 1]])
  })

  test('gives the same body as the state it was made of', () => {
    const restored = restoreState(serialiseState(current), () => definition)
    expect(restored && operationBody(restored)).toBe(operationBody(current))
  })
})
