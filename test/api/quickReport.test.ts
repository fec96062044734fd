import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reportBody, reportLine } from '../../src/api/contract/commands.ts'
import { isSoundReport, isSoundReportLine } from '../../src/api/quickReport.ts'

const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'a b',
    'stream',
    '-x',
    'ä',
    '😀',
    'a\u0007',
    'a\u2028',
    'a\u202eb',
    'a\u2066b',
    'a\u200bb',
    '\ufeffa',
    '\ud800',
    'x'.repeat(128),
    'x'.repeat(129),
  ),
  fc.constantFrom(
    '😀'.repeat(128),
    '😀'.repeat(129),
    'a.b:c',
    'ReportStatus',
    'succeeded',
    '2026-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
  ),
  fc.string({ maxLength: 5 }),
)
const member = fc.oneof(
  { weight: 4, arbitrary: text },
  fc.constantFrom(0, 1, -1, 1.5, -0, 2 ** 53, 2 ** 53 - 1, true, null, {}, { a: 1 }, [], [1]),
)
const names = [
  'service',
  'status',
  'track',
  'sequence',
  'observedAt',
  'data',
  'metadata',
  'pipeline',
  'pipelineVersion',
  'final',
]
const record = (known: readonly string[], sound: Record<string, unknown>) =>
  fc
    .tuple(
      fc.dictionary(
        fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...known) }, fc.constantFrom('nonsense', 'id')),
        member,
        { maxKeys: 3 },
      ),
      fc.boolean(),
    )
    .map(([members, whole]): Record<string, unknown> => (whole ? { ...sound, ...members } : { ...members }))

describe('a report judged by hand is judged as zod judges it', () => {
  test('as a body', () => {
    let sound = 0
    fc.assert(
      fc.property(record(names, { service: 's', status: 'a' }), (value) => {
        const parsed = reportBody.safeParse(value)
        expect(isSoundReport(value)).toBe(parsed.success)
        if (parsed.success) {
          expect(parsed.data).toEqual(value)
          sound += 1
        }
      }),
      { numRuns: 5_000 },
    )
    expect(sound).toBeGreaterThan(100)
  })

  test('as a line', () => {
    const known = [...names, 'type', 'operation', 'command', 'expectedRevision']
    fc.assert(
      fc.property(record(known, { type: 'ReportStatus', operation: 'o', service: 's', status: 'a' }), (value) => {
        // The type is looked at before, by whoever asks.
        expect(isSoundReportLine(value)).toBe(
          reportLine.safeParse({ ...value, type: 'type' in value ? value.type : 'ReportStatus' }).success,
        )
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([null, undefined, 1, 'text', [], [{}]])('%j is no report', (value) => {
    expect(isSoundReport(value)).toBe(false)
    expect(isSoundReportLine(value)).toBe(false)
  })
})
