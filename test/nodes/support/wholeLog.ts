import pg from 'pg'
import { expect } from 'vitest'
import { decode } from '../../../src/operation/envelope.ts'
import { isOperationEvent } from '../../../src/operation/eventSchemas.ts'
import { evolve } from '../../../src/operation/evolve.ts'
import { anyPipeline, type CompiledPipeline, compilePipeline } from '../../../src/operation/pipeline.ts'
import type { OperationState } from '../../../src/operation/state.ts'
import { verifyStream } from '../../../src/operation/verifyStream.ts'
import { operationBody } from '../../../src/operation/view.ts'

export interface LoggedEvent {
  readonly stream: string
  readonly revision: bigint
  readonly position: bigint
  readonly id: string
  readonly type: string
  readonly data: string
  readonly metadata: string
  /** Key it is recorded under, and key of the command whose append it is. */
  readonly key: string
  readonly cause: string
}

export interface WholeLog {
  readonly logId: string
  readonly head: bigint
  /** In order of position. */
  readonly events: readonly LoggedEvent[]
  readonly streams: ReadonlyMap<string, readonly LoggedEvent[]>
}

/** The log as the database has it, with nothing of the service in between. */
export async function readWholeLog(connectionString: string): Promise<WholeLog> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows: heads } = await client.query<{ log_id: string; position: string }>(
      'SELECT log_id::text, position::text FROM waybill_log.log_head',
    )
    const { rows } = await client.query<
      Record<'stream' | 'revision' | 'position' | 'id' | 'type' | 'data' | 'metadata', string>
    >(
      `SELECT s.name AS stream, e.revision::text, e.position::text, e.id::text, e.type, e.data::text, e.metadata::text
       FROM waybill_log.events e JOIN waybill_log.streams s ON s.number = e.stream_number ORDER BY e.position`,
    )
    const events = rows.map((row) => {
      const metadata = JSON.parse(row.metadata) as { command: string; $causationId: string }
      return {
        ...row,
        revision: BigInt(row.revision),
        position: BigInt(row.position),
        key: metadata.command,
        cause: metadata.$causationId,
      }
    })
    const streams = new Map<string, LoggedEvent[]>()
    for (const event of events) {
      const stream = streams.get(event.stream)
      if (stream === undefined) streams.set(event.stream, [event])
      else stream.push(event)
    }
    return { logId: heads[0]?.log_id ?? '', head: BigInt(heads[0]?.position ?? -1), events, streams }
  } finally {
    await client.end()
  }
}

/** Positions in order without a gap up to the head, revisions without a gap, hash chains and ids that hold. */
export function expectSoundLog({ events, streams, head }: WholeLog): void {
  expect(events.map(({ position }) => position)).toEqual(events.map((_, index) => BigInt(index + 1)))
  expect(head).toBe(BigInt(events.length))
  for (const [name, stream] of streams) expect({ name, ...verifyStream(stream) }).toMatchObject({ kind: 'intact' })
}

/** A command that was answered as accepted. */
export interface Receipt {
  readonly operation: string
  readonly command: string
  readonly outcome: string
  readonly revision: number
  readonly position: string
}

/** Tokens as callers have them. */
export function positionNumber(token: string): bigint {
  let number = 0n
  for (const digit of token.slice(22)) number = number * 36n + BigInt(Number.parseInt(digit, 36))
  return number
}

/** The command's own event is in the log once, and its append ends where the receipt says. */
export function expectOnce(log: WholeLog, receipt: Receipt): void {
  const stream = log.streams.get(`operation-${receipt.operation}`) ?? []
  const append = stream.filter(({ cause }) => cause === receipt.command)
  const own = append.filter(({ key, type }) => key === receipt.command && type !== 'OperationOpened')
  const last = append.at(-1)
  expect({
    receipt,
    events: own.length,
    revision: Number(last?.revision),
    position: last?.position,
  }).toEqual({ receipt, events: 1, revision: receipt.revision, position: positionNumber(receipt.position) })
}

/** Every operation folded from its events alone, as `GET` shows it but for `position`. */
export function foldAll(log: WholeLog): ReadonlyMap<string, unknown> {
  const pipelines = new Map<string, CompiledPipeline>()
  for (const event of log.events) {
    if (event.type !== 'PipelineDefined') continue
    const name = event.stream.slice('pipeline-'.length)
    const decoded = decode(event)
    if (decoded.type !== 'PipelineDefined') throw new Error('decoded as another type')
    pipelines.set(
      `${name}@${decoded.data.version}`,
      compilePipeline(name, decoded.data.version, decoded.data.definition),
    )
  }
  const pipelineOf = (name: string, version: number): CompiledPipeline => {
    const found = name === 'any' ? anyPipeline : pipelines.get(`${name}@${version}`)
    if (found === undefined) throw new Error(`no pipeline ${name}@${version}`)
    return found
  }
  const folded = new Map<string, unknown>()
  for (const [name, stream] of log.streams) {
    if (!name.startsWith('operation-')) continue
    let state: OperationState | null = null
    for (const event of stream) {
      const decoded = decode(event)
      if (!isOperationEvent(decoded)) throw new Error(`${decoded.type} in an operation`)
      state = evolve(state, decoded, decoded.meta, pipelineOf)
    }
    if (state !== null) folded.set(state.id, JSON.parse(operationBody(state)))
  }
  return folded
}
