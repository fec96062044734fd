import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/eventlog/eventLog.ts'
import { openPostgresEventLog } from '../../src/eventlog/postgres/postgresEventLog.ts'
import { clientConfig } from '../../src/postgres/connection.ts'
import { createLogDatabase, type LogDatabase, newEvent, newStream } from './logDatabase.ts'

/** Of one event for one chain; null: what an honest caller gives. */
interface Call {
  readonly streams?: string
  readonly numbers?: string
  readonly expected?: string
  readonly events?: string
  readonly bases?: string
  readonly chains?: string
  readonly places?: string
  readonly ids?: string
  readonly types?: string
  readonly data?: string
  readonly metadata?: string
  /** Says of itself that it is who wrote last, and knows all that one may know. */
  readonly asWriter?: boolean
}

const separator = '\x1e'
const ids = (count: number) => `{${Array.from({ length: count }, () => randomUUID()).join(',')}}`
const texts = (text: string, count: number) => Array.from({ length: count }, () => text).join(separator)
const events = (count: number): Call => ({
  ids: ids(count),
  types: texts('Forged', count),
  data: texts('{}', count),
  metadata: texts('{}', count),
})

const forgeries: readonly (readonly [string, Call])[] = [
  ['a position far ahead', { bases: '{1000}' }],
  ['a position that is given out', { bases: '{-1}' }],
  ['a place far ahead', { places: '{9}' }],
  ['more events than it says', { ...events(3), chains: '{1,1,1}', places: '{1,2,3}' }],
  ['fewer events than it says', { events: '{3}' }],
  ['a gap between two events', { ...events(2), events: '{2}', chains: '{1,1}', places: '{1,3}' }],
  ['an event of no chain', { ...events(2), events: '{2}', chains: '{1,7}', places: '{1,1}' }],
  ['events of two chains in disorder', { ...twoChains(), ...events(4), chains: '{2,1,2,1}', places: '{1,1,2,2}' }],
  ['a count below nothing', { ...twoChains(), ...events(2), events: '{4,-2}', chains: '{1,1}', places: '{1,2}' }],
  ['a chain that takes no events, and one', { events: '{0}' }],
  ['a revision it vouches for', { asWriter: true, numbers: '{1}', expected: '{500}' }],
  ['the last revision there can be', { asWriter: true, numbers: '{1}', expected: '{9223372036854775806}' }],
  ['a stream that is not there yet', { asWriter: true, numbers: '{NEXT}', expected: '{-1}' }],
  ['a stream that will be there', { asWriter: true, numbers: '{2147483647}', expected: '{-1}' }],
  ['the first event of a stream it knows', { asWriter: true, numbers: '{1}', expected: '{-1}' }],
  ['arrays that begin elsewhere', { ...twoChains(), ...events(2), expected: '[0:1]={0,7}', chains: '{1,2}' }],
  ['chains of two dimensions', { expected: '{{0}}', numbers: '{{0}}', events: '{{1}}', bases: '{{0}}' }],
  [
    'one chain twice',
    {
      streams: `one${separator}one`,
      numbers: '{0,0}',
      expected: '{0,0}',
      events: '{1,1}',
      bases: '{0,1}',
      ...events(2),
      chains: '{1,2}',
      places: '{1,1}',
    },
  ],
  ['more streams than chains', { streams: `one${separator}extra` }],
  [
    'a stream without a name',
    {
      streams: `one${separator}`,
      numbers: '{0,0}',
      expected: '{0,-1}',
      events: '{0,1}',
      bases: '{0,0}',
      chains: '{2}',
    },
  ],
  ['a name too long to read', { streams: 'x'.repeat(513), expected: '{-1}' }],
  ['a name with a control character', { streams: 'a\u0007b', expected: '{-1}' }],
  ['a name with one that is not ASCII', { streams: 'a\u0085b', expected: '{-1}' }],
  ['no type', { types: '' }],
  ['data too large to read', { data: JSON.stringify('x'.repeat(1_000_001)) }],
  ['nothing where a number is due', { expected: '{NULL}' }],
  ['no count', { events: '{NULL}' }],
  ['no arrays at all', { numbers: '{}', expected: '{}', events: '{}', bases: '{}' }],
]

function twoChains(): Call {
  return { streams: `one${separator}two`, numbers: '{0,0}', expected: '{0,0}', events: '{2,2}', bases: '{0,2}' }
}

describe('the service, whatever it passes to append_chains() and append(),', () => {
  let database: LogDatabase
  let service: pg.Client
  let log: EventLog

  beforeAll(async () => {
    database = await createLogDatabase()
    log = await openPostgresEventLog({ connectionString: database.connectionString })
    await log.append(['one', 'two'].map((stream) => ({ ...newStream(), stream })))
    service = new pg.Client(clientConfig({ connectionString: database.connectionString, role: 'waybill_service' }))
    await service.connect()
  })
  afterAll(async () => {
    await service.end()
    await log.close()
    await database.drop()
  })

  /** Resolves to the code of the refusal; null when it was taken. */
  async function forge(call: Call, by: 'append' | 'append_chains' = 'append_chains'): Promise<string | null> {
    const { rows } = await service.query('SELECT writer, turn, stream_number + 1 AS next FROM waybill_log.log_head')
    const { writer, turn, next } = rows[0]
    const caller = [log.logId, ...(by === 'append' ? [] : call.asWriter === true ? [writer, turn] : [7, -1])]
    const numbers = (call.numbers ?? '{0}').replace('NEXT', next)
    const values = [
      ...caller,
      call.streams ?? 'one',
      ...(by === 'append' ? [] : [numbers]),
      call.expected ?? `{${await revisionOf('one')}}`,
      call.events ?? '{1}',
      call.bases ?? '{0}',
      call.chains ?? '{1}',
      call.places ?? '{1}',
      call.ids ?? ids(1),
      call.types ?? 'Forged',
      call.data ?? '{}',
      call.metadata ?? '{}',
    ]
    const places = values.map((_, index) => `$${index + 1}`).join(',')
    return service.query(`SELECT FROM waybill_log.${by}(${places})`, values).then(
      () => null,
      ({ code }) => String(code),
    )
  }

  async function revisionOf(stream: string): Promise<string> {
    const { rows } = await database.owner.query(
      `SELECT max(revision)::text AS revision FROM waybill_log.events e JOIN waybill_log.streams s ON s.number = e.stream_number
       WHERE s.name = $1`,
      [stream],
    )
    return rows[0].revision
  }

  /** What readers and later appends rest on. */
  async function faults(): Promise<unknown> {
    const { rows } = await database.owner.query(`
      SELECT
        (SELECT count(*)::int FROM waybill_log.events e JOIN waybill_log.log_head ON e.position NOT BETWEEN 1 AND log_head.position)
          AS "beyondHead",
        (SELECT position - (SELECT count(*) FROM waybill_log.events) FROM waybill_log.log_head)::int AS "missingPositions",
        (SELECT count(*)::int FROM (
          SELECT FROM waybill_log.events GROUP BY stream_number HAVING min(revision) <> 0 OR max(revision) <> count(*) - 1
        ) x) AS "brokenStreams",
        (SELECT count(*)::int FROM waybill_log.events e WHERE NOT EXISTS (
          SELECT FROM waybill_log.streams s WHERE s.number = e.stream_number
        )) AS "eventsOfNoStream",
        (SELECT count(*)::int FROM waybill_log.streams s JOIN waybill_log.log_head h ON s.number NOT BETWEEN 1 AND h.stream_number)
          AS "foreseenStreams",
        (SELECT count(*)::int FROM waybill_log.streams WHERE name !~ '^[[:print:]]+$' OR octet_length(name) > 512) AS "badNames",
        (SELECT count(*)::int FROM waybill_log.events WHERE type = '' OR octet_length(data::text) > 1000000) AS "badEvents"`)
    return rows[0]
  }

  const none = {
    beyondHead: 0,
    missingPositions: 0,
    brokenStreams: 0,
    eventsOfNoStream: 0,
    foreseenStreams: 0,
    badNames: 0,
    badEvents: 0,
  }

  it.each(['append_chains', 'append'] as const)('appends what is right by %s()', async (by) => {
    const before = await log.head()
    expect(await forge({}, by)).toBeNull()
    expect(await log.head()).toBe(before + 1n)
    expect(await faults()).toEqual(none)
  })

  it.each(forgeries)('does not spoil the log by %s', async (_, call) => {
    const refusals = [await forge(call), await forge({ ...call, ...freshIds(call) }, 'append')]
    expect(await faults(), refusals.join()).toEqual(none)
    for (const code of refusals) expect(code ?? '22').toMatch(/^2[23]/)
    // And nothing stands in the way of who comes after.
    const next = { stream: 'one', expectedRevision: BigInt(await revisionOf('one')), events: [newEvent()] }
    expect(await log.append([next, newStream(), newStream()])).toMatchObject([
      { kind: 'appended' },
      { kind: 'appended' },
      { kind: 'appended' },
    ])
  })

  it('does not spoil the log by any numbers', async () => {
    const small = fc.integer({ min: -2, max: 4 })
    const array = (of: fc.Arbitrary<number | null>) =>
      fc.array(of, { minLength: 1, maxLength: 3 }).map((all) => `{${all.map((one) => one ?? 'NULL').join(',')}}`)
    const call = fc.record({
      streams: fc.constantFrom(
        'one',
        `one${separator}two`,
        `two${separator}fresh`,
        `one${separator}two${separator}fresh`,
      ),
      numbers: array(fc.constantFrom(0, 0, 1, 2, 3)),
      expected: array(fc.oneof(small, fc.constantFrom(null, 50))),
      events: array(small),
      bases: array(small),
      chains: array(fc.integer({ min: 1, max: 3 })),
      places: array(small),
      asWriter: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(call, fc.integer({ min: 1, max: 3 }), fc.boolean(), async (numbers, count, isOld) => {
        await forge({ ...numbers, ...events(count) }, isOld ? 'append' : 'append_chains')
      }),
      { numRuns: 300 },
    )
    expect(await faults()).toEqual(none)
    expect(await log.append([newStream()])).toMatchObject([{ kind: 'appended' }])
  })
})

/** An id that is in the log already is refused for that alone. */
function freshIds({ ids: given }: Call): Call {
  return given === undefined ? {} : { ids: ids(given.split(',').length) }
}
