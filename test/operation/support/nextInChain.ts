import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { noHash, type SealedEvent, seal, withoutHash } from '../../../src/operation/envelope.ts'

let keys = 0

/**
 * An event that follows on its stream's last one as its hash chain asks, whatever it says: what a defect writes, not what
 * somebody writes past the service.
 */
export async function nextInChain(
  log: Pick<EventLog, 'readStream'>,
  stream: string,
  { type = 'Nonsense', data = '{}' }: Partial<Pick<SealedEvent, 'type' | 'data'>> = {},
) {
  const [last] = await log.readStream(stream, { direction: 'backwards', maxCount: 1 })
  keys += 1
  const key = `nonsense-${keys}`
  const { event } = seal({
    stream,
    revision: (last?.revision ?? -1n) + 1n,
    previousHash: (last === undefined ? null : withoutHash(last.metadata)?.hash) ?? noHash,
    type,
    data,
    dataBytes: Buffer.byteLength(data),
    recorder: { key, requestHash: 'r', actor: 'tester' },
    keyIndex: 0,
    correlation: stream,
    causation: key,
    recordedAt: '2026-01-01T00:00:00.000Z',
  })
  return { stream, expectedRevision: last?.revision ?? ('noStream' as const), events: [event] }
}
