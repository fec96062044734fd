import { describe, expect, it, vi } from 'vitest'
import { AnotherLogError, LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { DurabilityOffError, IdentityGuard, type Witness } from '../../src/eventlog/postgres/identity.ts'
import { IndirectConnectionError } from '../../src/postgres/connectDirectly.ts'

const healthy = {
  logId: '11111111-1111-4111-8111-111111111111',
  position: '7',
  systemIdentifier: '7000000000000000001',
  timeline: '00000001',
  fsync: 'on',
  fullPageWrites: 'on',
  synchronousCommit: 'on',
  pid: '42',
}

const events = [
  { position: 6n, data: '{"n":6}', metadata: '{"hash":"f"}' },
  { position: 7n, data: '{"n":7}', metadata: '{"hash":"0"}' },
]

/** A connection to a server that says this of itself: what takes a fail-over or a lost disk to see. */
function connection(said: Partial<typeof healthy> = {}, held = events): Parameters<IdentityGuard['admit']>[0] {
  const rows = ({ position, data, metadata }: Witness) => [String(position), data, metadata]
  return {
    processID: 42,
    async query({ text, values, rowMode }) {
      // As objects, which nobody takes apart.
      if (rowMode !== 'array') return { rows: [] }
      if (text.includes('log_head')) return { rows: [Object.values({ ...healthy, ...said })] }
      const [position] = values ?? []
      return {
        rows: (position === undefined ? held.slice(-1) : held.filter((one) => String(one.position) === position)).map(
          rows,
        ),
      }
    },
  }
}

function createGuard(allowUnsafeDurability = false) {
  const logger = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const told = vi.fn()
  return { guard: new IdentityGuard({ allowUnsafeDurability, logger, onAnotherLog: told }), logger, told }
}

describe('the guard on the log’s identity', () => {
  it.each([
    ['the cluster', { systemIdentifier: '7000000000000000002' }, 'The database is another cluster than before'],
    ['the timeline, backwards', { timeline: '00000000' }, 'The server is on timeline 00000000, not 00000001 as before'],
    [
      'the log id',
      { logId: '22222222-2222-4222-8222-222222222222' },
      `The database holds the log 22222222-2222-4222-8222-222222222222, not ${healthy.logId} as before`,
    ],
    ['the head, backwards', { position: '6' }, 'The log ends at 6, but 7 has been seen: events are lost'],
  ])('refuses a connection, and all later ones, once it changes: %s', async (_, change, message) => {
    const { guard, logger, told } = createGuard()
    await guard.admit(connection())
    const error = new AnotherLogError(message)
    await expect(guard.admit(connection(change))).rejects.toThrow(error)
    await expect(guard.admit(connection())).rejects.toThrow(error)
    expect(() => guard.check()).toThrow(error)
    expect(guard.breakWith('something else')).toEqual(error)
    expect(logger.error.mock.calls).toEqual([[{ logId: healthy.logId, highest: '7' }, message]])
    expect(told.mock.calls).toEqual([[error]])
  })

  it('has no log id before the first connection', async () => {
    const { guard } = createGuard()
    expect(() => guard.logId).toThrow('No session has been checked yet')
    await guard.admit(connection())
    expect(guard.logId).toBe(healthy.logId)
    expect(guard.isBroken).toBe(false)
  })

  it('refuses a log without a head, and an answer that is too short', async () => {
    const answering = (rows: string[][]) => ({ ...connection(), query: async () => ({ rows }) })
    await expect(createGuard().guard.admit(answering([]))).rejects.toThrow(
      new AnotherLogError('The log has no head row'),
    )
    const short = Object.values(healthy).slice(0, 3)
    for (const count of [0, 1, 2, 3]) {
      await expect(createGuard().guard.admit(answering([short.slice(0, count)]))).rejects.toThrow('too few columns')
    }
  })

  describe('after a fail-over, when the server is on a later timeline', () => {
    const promoted = { timeline: '00000002', position: '9' }
    const [sixth, seventh] = events as [Witness, Witness]

    it('goes on when the last event seen is there as it was, and does not go back', async () => {
      const { guard, logger } = createGuard()
      await guard.admit(connection())
      await guard.admit(connection(promoted))
      const said = { timeline: '00000002', before: '00000001', position: '7' }
      expect(logger.warn.mock.calls).toEqual([[said, expect.stringContaining('failed over')]])
      await guard.admit(connection(promoted, []))
      await expect(guard.admit(connection({ position: '9' }))).rejects.toThrow(AnotherLogError)
    })

    it('goes on when nothing was seen yet', async () => {
      const { guard, logger } = createGuard()
      await guard.admit(connection({ position: '0' }, []))
      await guard.admit(connection(promoted))
      expect(logger.warn.mock.calls).toMatchObject([[{ position: '0' }, expect.stringContaining('failed over')]])
    })

    it.each([
      ['is not there', [sixth]],
      ['has other data', [sixth, { ...seventh, data: '{"n":8}' }]],
      ['was recorded anew', [sixth, { ...seventh, metadata: '{"hash":"1"}' }]],
    ])('refuses it when the last event seen at the start %s, although the head is further on', async (_, held) => {
      const { guard } = createGuard()
      await guard.admit(connection())
      await expect(guard.admit(connection(promoted, held))).rejects.toThrow(
        new AnotherLogError(
          'The server is on timeline 00000002, not 00000001 as before, and holds another event at 7: events are lost',
        ),
      )
      expect(guard.isBroken).toBe(true)
    })

    it('holds it against the last event acknowledged or read', async () => {
      const eighth = { position: 8n, data: '{"n":8}', metadata: '{"hash":"2"}' }
      const { guard } = createGuard()
      await guard.admit(connection())
      guard.sawEvent(eighth)
      guard.sawEvent(sixth)
      await expect(guard.admit(connection(promoted))).rejects.toThrow(AnotherLogError)
      const { guard: other } = createGuard()
      await other.admit(connection())
      other.sawEvent(eighth)
      await other.admit(connection(promoted, [...events, eighth]))
    })

    it('refuses it when it ends before a position that was seen', async () => {
      const { guard } = createGuard()
      await guard.admit(connection())
      guard.saw(10n)
      await expect(guard.admit(connection(promoted))).rejects.toThrow(AnotherLogError)
    })
  })

  it('takes a head that grows, and one that was acknowledged while the question was under way', async () => {
    const { guard } = createGuard()
    await guard.admit(connection())
    await guard.admit(connection({ position: '9' }))
    const slow = connection({ position: '9' })
    await guard.admit({
      ...slow,
      query: async (config) => {
        const answer = await slow.query(config)
        guard.saw(12n)
        return answer
      },
    })
    await expect(guard.admit(connection({ position: '11' }))).rejects.toThrow(AnotherLogError)
  })

  it.each([
    ['fsync', { fsync: 'off' }],
    ['full_page_writes', { fullPageWrites: 'off' }],
    ['synchronous_commit', { synchronousCommit: 'off' }],
  ])('refuses a server that runs with %s off, unless allowed, and then shouts', async (name, change) => {
    await expect(createGuard().guard.admit(connection(change))).rejects.toThrow(DurabilityOffError)
    const { guard, logger } = createGuard(true)
    await guard.admit(connection(change))
    const shouted = `POSTGRESQL RUNS WITH ${name.toUpperCase()} OFF: WHAT IT CONFIRMS MAY BE LOST IN A CRASH`
    expect(logger.warn.mock.calls).toEqual([[{ off: [name] }, expect.stringContaining(shouted)]])
  })

  it('names all that is off', async () => {
    const refused = createGuard().guard.admit(connection({ fsync: 'off', fullPageWrites: 'off' }))
    await expect(refused).rejects.toThrow('runs with fsync, full_page_writes off')
  })

  it('refuses a standby for now, and a pooler for good', async () => {
    await expect(createGuard().guard.admit(connection({ timeline: '' }))).rejects.toThrow(LogUnavailableError)
    await expect(createGuard().guard.admit(connection({ pid: '43' }))).rejects.toThrow(IndirectConnectionError)
    // Where the driver does not tell.
    await createGuard().guard.admit({ ...connection({ pid: '43' }), processID: null })
  })
})
