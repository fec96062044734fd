import type { RecordedEvent } from '../../eventlog/eventLog.ts'
import { decode } from '../../operation/envelope.ts'
import { MalformedEventError } from '../../operation/eventSchemas.ts'
import { projectionStream } from '../../operation/streamName.ts'
import { projectionName } from '../projectionStore.ts'

/** What operators did to this projection, in the order in which it is done. */
export const interventionStream = projectionStream(projectionName)

/** An operator has had an event passed over, or a stream tried again. */
export type Intervention =
  | {
      readonly type: 'EventSkipped'
      readonly stream: string
      readonly revision: bigint
      readonly position: bigint
    }
  | { readonly type: 'StreamRetried'; readonly stream: string; readonly position: bigint }

/** Throws as `decode` does. */
export function interventionOf(event: RecordedEvent): Intervention {
  const { position } = event
  const { type, data } = decode(event)
  switch (type) {
    case 'EventSkipped':
      return { type, stream: data.stream, revision: BigInt(data.revision), position }
    case 'StreamRetried':
      return { type, stream: data.stream, position }
    default:
      throw new MalformedEventError(`${type} in the stream of a projection`)
  }
}
