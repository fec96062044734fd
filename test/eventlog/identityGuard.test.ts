import { describe, expect, it } from 'vitest'
import { AnotherLogError, LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import {
  DurabilityOffError,
  IdentityGuard,
  IndirectConnectionError,
  type Witness,
} from '../../src/eventlog/postgres/identity.ts'

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
    async query({ text, values }) {
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
  const warnings: string[] = []
  const warn = (_: object, message: string) => warnings.push(message)
  const logger = { info: () => undefined, warn, error: () => undefined }
  return { guard: new IdentityGuard({ allowUnsafeDurability, logger, onAnotherLog: () => undefined }), warnings }
}

describe('the guard on the log’s identity', () => {
  it.each([
    ['the cluster', { systemIdentifier: '7000000000000000002' }],
    ['the timeline, backwards', { timeline: '00000000' }],
    ['the log id', { logId: '22222222-2222-4222-8222-222222222222' }],
    ['the head, backwards', { position: '6' }],
  ])('refuses a connection, and all later ones, once it changes: %s', async (_, change) => {
    const { guard } = createGuard()
    await guard.admit(connection())
    await expect(guard.admit(connection(change))).rejects.toThrow(AnotherLogError)
    await expect(guard.admit(connection())).rejects.toThrow(AnotherLogError)
    expect(() => guard.check()).toThrow(AnotherLogError)
  })

  describe('after a fail-over, when the server is on a later timeline', () => {
    const promoted = { timeline: '00000002', position: '9' }
    const [sixth, seventh] = events as [Witness, Witness]

    it('goes on when the last event seen is there as it was, and does not go back', async () => {
      const { guard, warnings } = createGuard()
      await guard.admit(connection())
      await guard.admit(connection(promoted))
      expect(warnings).toEqual([expect.stringContaining('failed over')])
      await guard.admit(connection(promoted, []))
      await expect(guard.admit(connection({ position: '9' }))).rejects.toThrow(AnotherLogError)
    })

    it.each([
      ['is not there', [sixth]],
      ['has other data', [sixth, { ...seventh, data: '{"n":8}' }]],
      ['was recorded anew', [sixth, { ...seventh, metadata: '{"hash":"1"}' }]],
    ])('refuses it when the last event seen at the start %s, although the head is further on', async (_, held) => {
      const { guard } = createGuard()
      await guard.admit(connection())
      await expect(guard.admit(connection(promoted, held))).rejects.toThrow(AnotherLogError)
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
    const { guard, warnings } = createGuard(true)
    await guard.admit(connection(change))
    expect(warnings).toEqual([expect.stringContaining(name.toUpperCase())])
  })

  it('refuses a standby for now, and a pooler for good', async () => {
    await expect(createGuard().guard.admit(connection({ timeline: '' }))).rejects.toThrow(LogUnavailableError)
    await expect(createGuard().guard.admit(connection({ pid: '43' }))).rejects.toThrow(IndirectConnectionError)
  })
})
