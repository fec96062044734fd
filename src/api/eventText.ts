import type { RecordedEvent } from '../eventlog/eventLog.ts'
import type { PositionTokens } from './positionToken.ts'

/** An event as callers see it. Data and metadata are passed on byte for byte, so that hashes can be checked. */
export function eventText(event: RecordedEvent, tokens: PositionTokens): string {
  const { stream, revision, position, id, type, data, metadata } = event
  return `{"stream":${JSON.stringify(stream)},"revision":${revision},"position":"${tokens.encode(position)}","id":"${id}","type":${JSON.stringify(type)},"data":${data},"metadata":${metadata}}`
}
