import { randomUUID } from 'node:crypto'
import { LogNotOpenError, LogUnavailableError } from '../eventLog.ts'
import type { Appends } from './appends.ts'
import { identityStream, type Reads } from './reads.ts'
import { toStored } from './wire.ts'

/**
 * Whether the log takes appends (`open`), is becoming a copy of another one (`importing`), or has been closed for a copy. Kept
 * in the metadata of the identity's stream, which is a stream of the store's own that no reader of the log meets.
 */
export interface LogState {
  readonly state: 'open' | 'importing' | 'closed'
  /** The log that it is, or is becoming, a copy of. */
  readonly copiedFrom: string | null
  /** Revision of the entry that says so; -1n: there is none. */
  readonly revision: bigint
}

const stateStream = `$$${identityStream}`

export async function readState(reads: Reads): Promise<LogState> {
  const [entry] = await reads.stream(stateStream, 'end', 'backwards', 1)
  if (entry === undefined) return { state: 'open', copiedFrom: null, revision: -1n }
  const data: unknown = JSON.parse(entry.data)
  const own = isObject(data) && isObject(data.waybill) ? data.waybill : {}
  const state = own.state === 'importing' || own.state === 'closed' ? own.state : 'open'
  return { state, copiedFrom: typeof own.copiedFrom === 'string' ? own.copiedFrom : null, revision: entry.revision }
}

/** Throws LogUnavailableError when it cannot be written, or somebody else wrote meanwhile. */
export async function writeState(
  appends: Appends,
  before: LogState,
  state: LogState['state'],
  copiedFrom: string | null,
): Promise<void> {
  const data = JSON.stringify({ waybill: { state, copiedFrom } })
  const event = toStored({ id: randomUUID(), type: '$metadata', data, metadata: '{}' })
  const result = await appends.append({ stream: stateStream, expected: before.revision, events: [event] }, data.length)
  if (result.kind !== 'written') throw new LogUnavailableError(`The log's state could not be written: ${result.kind}`)
}

export async function refuseUnlessOpen(reads: Reads): Promise<void> {
  const { state } = await readState(reads)
  if (state !== 'open') throw new LogNotOpenError(state)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
