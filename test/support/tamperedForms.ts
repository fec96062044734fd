import type { Journal } from '../projections/support/journal.ts'
import type { Tampering } from './tampering.ts'

export async function fiveEvents(journal: Journal, id: string): Promise<void> {
  await journal.open(id, { data: { total: 100 } })
  for (let at = 1; at < 5; at += 1) await journal.report(id, `status${at}`, { data: { [`from${at}`]: 'said' } })
}

const said = (text: string): string => text.replace('"said"', '"lied"')
const stream = (id: string): string => `operation-${id}`

export type TamperedForm = readonly [id: string, tamper: (id: string) => Promise<void>, at: bigint | null]

/**
 * Every way to tamper with a stream of five events, made by `fiveEvents`. Each has the id of the operation it is done to, and
 * the revision where the chain shows it; null: the chain alone cannot.
 */
export const tamperedForms = (tampering: Tampering): readonly TamperedForm[] => [
  ['data-changed', (id) => tampering.change(stream(id), 2, 'data', said), 2n],
  ['space-added', (id) => tampering.change(stream(id), 2, 'data', (text) => `${text} `), 2n],
  ['first-changed', (id) => tampering.change(stream(id), 0, 'data', (text) => text.replace('100', '900')), 0n],
  ['last-changed', (id) => tampering.change(stream(id), 4, 'data', said), 4n],
  ['type-changed', (id) => tampering.change(stream(id), 2, 'type', () => 'ReportIgnored'), 2n],
  [
    'actor-changed',
    (id) => tampering.change(stream(id), 2, 'metadata', (text) => text.replace('tester', 'nobody')),
    2n,
  ],
  ['time-changed', (id) => tampering.change(stream(id), 2, 'metadata', (text) => text.replace('2026', '2025')), 2n],
  [
    'hash-changed',
    (id) =>
      tampering.change(stream(id), 2, 'metadata', (text) => text.replace(/.(?="}$)/, (c) => (c === '0' ? '1' : '0'))),
    2n,
  ],
  [
    'hash-taken-out',
    (id) => tampering.change(stream(id), 2, 'metadata', (text) => text.replace(/,"hash":"\w+"/, '')),
    2n,
  ],
  ['metadata-emptied', (id) => tampering.change(stream(id), 2, 'metadata', () => '{}'), 2n],
  ['id-changed', (id) => tampering.change(stream(id), 2, 'id', () => crypto.randomUUID()), 2n],
  [
    // The event agrees with itself; the one after it does not.
    'hash-fixed-up-alone',
    async (id) => {
      await tampering.change(stream(id), 2, 'data', said)
      await tampering.hashAnew(stream(id), 2, 2)
    },
    3n,
  ],
  ['removed-first', (id) => tampering.remove(stream(id), 0), 1n],
  ['removed-in-the-middle', (id) => tampering.remove(stream(id), 2), 3n],
  [
    'removed-and-closed-up',
    async (id) => {
      await tampering.remove(stream(id), 2)
      await tampering.sql(
        `UPDATE waybill_log.events SET revision = revision - 1
         WHERE stream_number = (SELECT number FROM waybill_log.streams WHERE name = $1) AND revision > 2`,
        [stream(id)],
      )
    },
    2n,
  ],
  ['contents-swapped', (id) => tampering.swap(stream(id), 1, 3, 'contents'), 1n],
  ['places-swapped', (id) => tampering.swap(stream(id), 1, 3, 'places'), 3n],
  [
    'put-in-at-the-end',
    async (id) => {
      await tampering.sql(
        `INSERT INTO waybill_log.events (position, revision, stream_number, id, type, data, metadata)
         SELECT h.position + 1, 5, s.number, gen_random_uuid(), 'StatusChanged', e.data, e.metadata
         FROM waybill_log.log_head h, waybill_log.streams s JOIN waybill_log.events e ON e.stream_number = s.number AND e.revision = 4
         WHERE s.name = $1`,
        [stream(id)],
      )
      await tampering.sql('UPDATE waybill_log.log_head SET position = position + 1')
    },
    5n,
  ],
  ['removed-at-the-end', (id) => tampering.remove(stream(id), 4), null],
  [
    'last-rewritten',
    async (id) => {
      await tampering.change(stream(id), 4, 'data', said)
      await tampering.hashAnew(stream(id), 4)
    },
    null,
  ],
  [
    'rewritten-as-a-whole',
    async (id) => {
      await tampering.change(stream(id), 0, 'data', (text) => text.replace('100', '900'))
      await tampering.hashAnew(stream(id), 0)
    },
    null,
  ],
]
