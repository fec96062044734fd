import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import statuses from '@eventstore/db-client/generated/status_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import {
  maxAppendSize,
  type Proposed,
  type ProposedAppend,
  type StandInAnswer,
  type StandInEvent,
} from './standInStore.ts'

const empty = new shared.Empty()

export function proposed(message: streams.BatchAppendReq): ProposedAppend {
  const options = message.getOptions()
  if (options === undefined || !message.getIsFinal()) throw new Error('The stand-in takes an append in one message')
  if (options.hasAny() || options.hasStreamExists()) throw new Error('An append names its revision exactly')
  return {
    stream: text(options.getStreamIdentifier()?.getStreamName_asU8()),
    expected: options.hasNoStream() ? -1n : BigInt(options.getStreamPosition()),
    events: message.getProposedMessagesList().map(proposedEvent),
  }
}

function proposedEvent(event: streams.BatchAppendReq.ProposedMessage): Proposed {
  const type = event.getMetadataMap().get('type') ?? ''
  const data = event.getData_asU8()
  return { id: event.getId()?.getString() ?? '', type, data, metadata: event.getCustomMetadata_asU8() }
}

export function answer(request: streams.BatchAppendReq, said: StandInAnswer): streams.BatchAppendResp {
  const response = responseTo(request)
  if (said.kind === 'written') {
    const position = new shared.AllStreamPosition()
    position.setCommitPosition(String(said.position))
    position.setPreparePosition(String(said.position))
    const success = new streams.BatchAppendResp.Success()
    success.setCurrentRevision(String(said.revision))
    success.setPosition(position)
    response.setSuccess(success)
  } else if (said.kind === 'conflict') {
    const details = new shared.WrongExpectedVersion()
    if (said.actual === -1n) details.setCurrentNoStream(empty)
    else details.setCurrentStreamRevision(String(said.actual))
    const name = 'event_store.client.WrongExpectedVersion'
    response.setError(status('WrongExpectedVersion', name, details.serializeBinary()))
  } else if (said.kind === 'event_too_large') {
    const name = 'event_store.client.MaximumAppendEventSizeExceeded'
    response.setError(status('MaximumAppendEventSizeExceeded', name, member(1, Buffer.from(said.id))))
  } else {
    const details = new shared.MaximumAppendSizeExceeded()
    details.setMaxappendsize(maxAppendSize)
    const name = 'event_store.client.MaximumAppendSizeExceeded'
    response.setError(status('MaximumAppendSizeExceeded', name, details.serializeBinary()))
  }
  return response
}

/** The server gave up waiting; the append may be written all the same. */
export function timeout(request: streams.BatchAppendReq): streams.BatchAppendResp {
  const response = responseTo(request)
  response.setError(status('Timeout', 'event_store.client.Timeout', new shared.Timeout().serializeBinary()))
  return response
}

/** An error that a later version of the protocol might have. */
export function unheardOf(request: streams.BatchAppendReq): streams.BatchAppendResp {
  const response = responseTo(request)
  response.setError(status('Something new', 'event_store.client.SomethingNew', empty.serializeBinary()))
  return response
}

export function notReady(request: streams.BatchAppendReq): streams.BatchAppendResp {
  const response = responseTo(request)
  response.setError(status('Server Is Not Ready', 'google.protobuf.Empty', empty.serializeBinary()))
  return response
}

function responseTo(request: streams.BatchAppendReq): streams.BatchAppendResp {
  const response = new streams.BatchAppendResp()
  response.setCorrelationId(request.getCorrelationId())
  response.setStreamIdentifier(request.getOptions()?.getStreamIdentifier())
  return response
}

/** By hand: the type of `details` belongs to a package that is not ours to import. */
function status(message: string, name: string, details: Uint8Array): statuses.Status {
  const any = Buffer.concat([member(1, Buffer.from(`type.googleapis.com/${name}`)), member(2, details)])
  return statuses.Status.deserializeBinary(Buffer.concat([member(2, Buffer.from(message)), member(3, any)]))
}

/** A member of a protocol buffer that has a length; below 128 bytes. */
function member(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([field * 8 + 2, bytes.length]), bytes])
}

export interface ReadWanted {
  /** Null: the whole log. */
  readonly stream: string | null
  readonly from: bigint | 'start' | 'end'
  readonly backwards: boolean
  /** Null: a subscription. */
  readonly count: number | null
  readonly filter: RegExp | null
  /** Records looked at between two checkpoints. */
  readonly checkpointInterval: number
}

export function readWanted(request: streams.ReadReq): ReadWanted {
  const options = request.getOptions()
  if (options === undefined) throw new Error('A read without options')
  const stream = options.getStream()
  const all = options.getAll()
  const filter = options.getFilter()
  const regex = filter?.getStreamIdentifier()?.getRegex()
  const place = stream ?? all
  const revision = stream?.hasRevision() === true ? stream.getRevision() : all?.getPosition()?.getCommitPosition()
  return {
    stream: stream === undefined ? null : text(stream.getStreamIdentifier()?.getStreamName_asU8()),
    from: place?.hasStart() === true ? 'start' : place?.hasEnd() === true ? 'end' : BigInt(revision ?? 0),
    backwards: options.getReadDirection() === 1,
    count: options.hasSubscription() ? null : Number(options.getCount()),
    filter: regex === undefined ? null : new RegExp(regex),
    checkpointInterval: (filter?.getMax() ?? 1) * (filter?.getCheckpointintervalmultiplier() ?? 1),
  }
}

export function readEvent(event: StandInEvent): streams.ReadResp {
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent()
  const id = new shared.UUID()
  id.setString(event.id)
  const stream = new shared.StreamIdentifier()
  stream.setStreamName(Buffer.from(event.stream))
  recorded.setId(id)
  recorded.setStreamIdentifier(stream)
  recorded.setStreamRevision(String(event.revision))
  recorded.setCommitPosition(String(event.position))
  recorded.setPreparePosition(String(event.position))
  recorded.getMetadataMap().set('type', event.type)
  recorded.getMetadataMap().set('content-type', 'application/json')
  recorded.setData(event.data)
  recorded.setCustomMetadata(event.metadata)
  const read = new streams.ReadResp.ReadEvent()
  read.setEvent(recorded)
  read.setCommitPosition(String(event.position))
  const response = new streams.ReadResp()
  response.setEvent(read)
  return response
}

export function confirmation(): streams.ReadResp {
  const response = new streams.ReadResp()
  const confirmed = new streams.ReadResp.SubscriptionConfirmation()
  confirmed.setSubscriptionId(crypto.randomUUID())
  response.setConfirmation(confirmed)
  return response
}

export function checkpoint(position: bigint): streams.ReadResp {
  const reached = new streams.ReadResp.Checkpoint()
  reached.setCommitPosition(String(position))
  reached.setPreparePosition(String(position))
  const response = new streams.ReadResp()
  response.setCheckpoint(reached)
  return response
}

export function noSuchStream(): streams.ReadResp {
  const response = new streams.ReadResp()
  response.setStreamNotFound(new streams.ReadResp.StreamNotFound())
  return response
}

export interface Member {
  readonly host: string
  readonly port: number
  readonly isLeader: boolean
  /** As the gossip believes. */
  readonly isAlive: boolean
}

export function clusterInfo(members: readonly Member[]): gossip.ClusterInfo {
  const info = new gossip.ClusterInfo()
  info.setMembersList(
    members.map(({ host, port, isLeader, isAlive }) => {
      const endPoint = new gossip.EndPoint()
      endPoint.setAddress(host)
      endPoint.setPort(port)
      const id = new shared.UUID()
      id.setString(crypto.randomUUID())
      const member = new gossip.MemberInfo()
      member.setInstanceId(id)
      member.setTimeStamp('0')
      member.setHttpEndPoint(endPoint)
      member.setIsAlive(isAlive)
      const { LEADER, FOLLOWER } = gossip.MemberInfo.VNodeState
      member.setState(isLeader ? LEADER : FOLLOWER)
      return member
    }),
  )
  return info
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()
