import { describe, expect, test } from 'vitest'
import { type Act, actions } from '../../src/audit/act.ts'
import { createAuditTrail } from '../../src/audit/auditTrail.ts'
import { type EventLog, LogUnavailableError } from '../../src/eventlog/eventLog.ts'
import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { eventHash, noHash, withoutHash } from '../../src/operation/envelope.ts'
import { auditStream } from '../../src/operation/streamName.ts'

const by = { name: 'admin', keyId: '0123456789abcdef', address: '192.0.2.7' }
const pause: Act = { action: 'projections.pause', target: 'operations', by }
const now = () => '2026-01-01T00:00:00.000Z'

async function recorded(log: EventLog) {
  const events = await log.readStream(auditStream, { maxCount: 1_000 })
  return events.map((event) => ({ ...event, data: JSON.parse(event.data), meta: JSON.parse(event.metadata) }))
}

describe('an act', () => {
  test('is an event that says what was done to what, by whom, from where, and when', async () => {
    const log = createMemoryEventLog()
    const trail = createAuditTrail({ log, now })
    await trail.record({ ...pause, request: 'r-1', reason: 'an upgrade' })
    const [event] = await recorded(log)
    expect(event).toMatchObject({
      type: 'OperatorActed',
      data: {
        action: 'projections.pause',
        target: 'operations',
        reason: 'an upgrade',
        by: { key: by.keyId, address: by.address },
      },
      meta: { actor: 'admin', command: 'r-1', recordedAt: now() },
    })
  })

  test('is chained to the one before, with the hash that docs/events.md describes', async () => {
    const log = createMemoryEventLog()
    const trail = createAuditTrail({ log, now })
    for (const action of actions) await trail.record({ ...pause, action, request: 'same' })
    let previousHash = noHash
    const events = await log.readStream(auditStream, { maxCount: 1_000 })
    expect(events).toHaveLength(actions.length)
    for (const { stream, revision, type, data, metadata } of events) {
      const bare = withoutHash(metadata)
      expect(JSON.parse(metadata).previousHash).toBe(previousHash)
      const hash = eventHash({
        stream,
        revision,
        previousHash,
        type,
        data,
        dataBytes: Buffer.byteLength(data),
        metadata: bare?.metadata ?? '',
      })
      expect(bare?.hash).toBe(hash)
      previousHash = hash
    }
  })

  test('of several nodes at once is on record, each of them', async () => {
    const log = createMemoryEventLog()
    const nodes = [createAuditTrail({ log, now }), createAuditTrail({ log, now }), createAuditTrail({ log, now })]
    await Promise.all(nodes.flatMap((trail) => [trail.record(pause), trail.record(pause)]))
    expect(await recorded(log)).toHaveLength(6)
  })

  test('that the log does not take is told to whoever would do it', async () => {
    const memory = createMemoryEventLog()
    for (const kind of ['unavailable', 'unknown'] as const) {
      const log: EventLog = {
        logId: memory.logId,
        append: async () => [{ kind }],
        readStream: (stream, options) => memory.readStream(stream, options),
        readEvent: (stream, id) => memory.readEvent(stream, id),
        readAll: (options) => memory.readAll(options),
        subscribe: (options) => memory.subscribe(options),
        head: () => memory.head(),
        close: () => memory.close(),
      }
      await expect(createAuditTrail({ log, now }).record(pause)).rejects.toThrow(LogUnavailableError)
    }
  })
})

describe('what the log says of keys', () => {
  test('is nothing before there was one', async () => {
    const trail = createAuditTrail({ log: createMemoryEventLog(), now })
    await trail.record(pause)
    expect(await trail.keys()).toEqual({ everMade: false, revoked: new Set() })
  })

  test('is that there was one, and which were revoked, on every node', async () => {
    const log = createMemoryEventLog()
    const [here, there] = [createAuditTrail({ log, now }), createAuditTrail({ log, now })]
    await here.record({ action: 'keys.create', target: 'ocr', key: 'aa', roles: ['service'], by })
    expect(await there.keys()).toEqual({ everMade: true, revoked: new Set() })
    await here.record({ action: 'keys.revoke', target: 'ocr', key: 'aa', by })
    expect(await there.keys()).toEqual({ everMade: true, revoked: new Set(['aa']) })
    await here.record({ action: 'keys.revoke', target: 'erp', key: 'bb', by })
    expect(await there.keys()).toEqual({ everMade: true, revoked: new Set(['aa', 'bb']) })
  })
})
