import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { StoredEvent } from '../../src/operation/envelope.ts'
import { anyPipeline, compilePipeline, type PipelineDefinition } from '../../src/operation/pipeline.ts'
import type { OperationState, TrackState } from '../../src/operation/state.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { fold, Ledger, told } from './support/ledger.ts'

/** Streams that a build of schema version 1 decided and sealed, each with the state that it folded them to. */
interface RecordedStreams {
  readonly pipelines: Readonly<Record<string, PipelineDefinition>>
  readonly streams: readonly {
    readonly pipeline: string
    readonly events: readonly (Omit<StoredEvent, 'revision'> & { readonly revision: number })[]
    readonly state: {
      readonly state: string
      readonly theme: string | null
      /** JSON text, byte for byte. */
      readonly data: string
      readonly metadata: string
      readonly tracks: Readonly<Record<string, Partial<TrackState>>>
      /** Their keys. */
      readonly held: readonly string[]
    }
  }[]
}

const recorded: RecordedStreams = JSON.parse(
  readFileSync(new URL('./samples/streams-v1.json', import.meta.url), 'utf8'),
)

function pipelineOf(name: string) {
  const definition = recorded.pipelines[name]
  return definition === undefined ? anyPipeline : compilePipeline(name, 1, definition)
}

function eventsOf(stream: RecordedStreams['streams'][number]): StoredEvent[] {
  return stream.events.map((event) => ({ ...event, revision: BigInt(event.revision) }))
}

function folded(stream: RecordedStreams['streams'][number]): OperationState {
  const state = fold(eventsOf(stream), pipelineOf(stream.pipeline))
  if (state === null) throw new Error('no events')
  return state
}

describe('a stream recorded under the first rules', () => {
  test.each(recorded.streams.map((stream, index) => [index, stream] as const))('%i keeps what it said', (_, stream) => {
    const state = folded(stream)
    expect(verifyStream(eventsOf(stream)).kind).toBe('intact')
    expect(state.data.text).toBe(stream.state.data)
    expect(state.metadata.text).toBe(stream.state.metadata)
    expect(state.state).toBe(stream.state.state)
    expect(state.theme).toBe(stream.state.theme)
    expect(state.held.map(({ key }) => key)).toEqual(stream.state.held)
    for (const [name, track] of Object.entries(stream.state.tracks)) expect(state.tracks[name]).toMatchObject(track)
  })

  test('is there in every kind that the rules of today take otherwise', () => {
    const kinds = recorded.streams.flatMap(({ events }) =>
      events.map(({ type, data }) => `${type} ${JSON.parse(data).reason ?? ''}`.trim()),
    )
    expect(new Set(kinds)).toEqual(
      new Set([
        'OperationOpened',
        'StatusChanged',
        'DataMerged',
        'ReportHeld predecessor_missing',
        'ReportHeld requirement_unmet',
        ...['older_sequence', 'duplicate', 'overtaken', 'unreachable', 'too_large'].map(
          (one) => `ReportIgnored ${one}`,
        ),
      ]),
    )
  })
})

/** A ledger that goes on, by the rules of today, where a recorded stream ends. */
function continued(pick: (stream: RecordedStreams['streams'][number]) => boolean): Ledger {
  const stream = recorded.streams.find(pick)
  if (stream === undefined) throw new Error('no such stream is recorded')
  const ledger = new Ledger(pipelineOf(stream.pipeline))
  ledger.events.push(...eventsOf(stream))
  ledger.state = folded(stream)
  return ledger
}

describe('from an old stream are gathered', () => {
  test('marks, of ignored reports too', () => {
    const marked = (stream: RecordedStreams['streams'][number]) => {
      const last = stream.events.map(({ type, data }) => ({ type, ...JSON.parse(data) }))
      return last.some(
        ({ type, reason, sequence }) => type === 'ReportIgnored' && reason === 'overtaken' && sequence > 0,
      )
    }
    const { current } = continued(marked)
    const sequences = Object.values(current.tracks).flatMap((track) => Object.values(track.marks))
    expect(Math.max(...sequences)).toBeGreaterThan(0)
  })

  test('deleted paths that nothing has filled since', () => {
    const states = recorded.streams.map(folded)
    const remembered = states.filter(({ deleted }) => deleted !== null && Object.keys(deleted.data).length > 0)
    expect(remembered.length).toBeGreaterThan(0)
    for (const { deleted, data } of remembered) {
      for (const member of Object.keys(deleted?.data ?? {})) {
        if (deleted?.data[member] === null) expect(Object.hasOwn(data.value, member)).toBe(false)
      }
    }
  })
})

test('the first applied report under the rules of today settles what old ones left: skips and held reports', () => {
  // Held for a join that can never be met: the track that would meet it was skipped.
  const ledger = continued(
    ({ pipeline, state }) =>
      pipeline.startsWith('joined') &&
      state.tracks.main?.status === 'plain' &&
      state.held.length > 0 &&
      state.state === 'active',
  )
  expect(ledger.current.held.length).toBeGreaterThan(0)
  const line = told(ledger.report({ track: 'main', status: 'plain', data: { settled: true } }, { key: 'settle' }))
  expect(line).toMatch(/^applied \| main =plain by settle( \| unreachable \S+ by k\d+\++)+$/)
  expect(ledger.current.held).toEqual([])
})
