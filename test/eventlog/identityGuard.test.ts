import { describe, expect, it } from 'vitest'
import { AnotherLogError, LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { DurabilityOffError, IdentityGuard, IndirectConnectionError } from '../../src/eventlog/postgres/identity.ts'

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

/** A connection to a server that says this of itself: what takes a fail-over or a lost disk to see. */
function connection(said: Partial<typeof healthy> = {}): Parameters<IdentityGuard['admit']>[0] {
  return { processID: 42, query: async () => ({ rows: [Object.values({ ...healthy, ...said })] }) }
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
    ['the timeline', { timeline: '00000002' }],
    ['the log id', { logId: '22222222-2222-4222-8222-222222222222' }],
    ['the head, backwards', { position: '6' }],
  ])('refuses a connection, and all later ones, once it changes: %s', async (_, change) => {
    const { guard } = createGuard()
    await guard.admit(connection())
    await expect(guard.admit(connection(change))).rejects.toThrow(AnotherLogError)
    await expect(guard.admit(connection())).rejects.toThrow(AnotherLogError)
    expect(() => guard.check()).toThrow(AnotherLogError)
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
