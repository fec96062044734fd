import { expect, test } from 'vitest'
import { pipelineRegistered } from '../../../src/commands/pipelineRegistry.ts'
import type { RecordedEvent } from '../../../src/eventlog/eventLog.ts'
import { checkRegistrations } from './checkRegistrations.ts'
import { Faults } from './faults.ts'

const registration = (position: bigint, data: object): RecordedEvent => ({
  stream: 'pipelines',
  revision: position,
  position,
  id: '',
  type: pipelineRegistered,
  data: JSON.stringify(data),
  metadata: '{}',
})

function found(registrations: readonly RecordedEvent[], definition?: bigint): string[] {
  const streams = new Map([['pipelines', registrations]])
  if (definition !== undefined) {
    streams.set('pipeline-a', [{ ...registration(definition, {}), stream: 'pipeline-a', type: 'PipelineDefined' }])
  }
  const faults = new Faults()
  checkRegistrations(streams, faults)
  return [...faults.counts.keys()]
}

const a = registration(1n, { name: 'a', pipelines: 1 })

test('names that are registered once, counted up, and before they are defined are right', () => {
  expect(
    found([a, registration(2n, { name: 'b', pipelines: 2 }), registration(5n, { name: 'c', pipelines: 7 })], 3n),
  ).toEqual([])
})

test('a name twice, a count that does not grow, a definition that comes first, and nonsense are told', () => {
  expect(found([a, registration(2n, { name: 'a', pipelines: 2 })])).toEqual(['doubled_write'])
  expect(found([a, registration(2n, { name: 'b', pipelines: 1 })])).toEqual(['wrong_transition'])
  expect(found([{ ...a, position: 4n }], 3n)).toEqual(['wrong_transition'])
  expect(found([registration(1n, { pipelines: 1 })])).toEqual(['malformed_event'])
  expect(found([{ ...a, type: 'Other' }])).toEqual(['malformed_event'])
})
