import { readFileSync } from 'node:fs'
import { EventStoreDBClient, LEADER, UnavailableError } from '@eventstore/db-client'
import connectionStrings from '@eventstore/db-client/dist/Client/parseConnectionString.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import grpcStreams from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { EventToAppend, RecordedEvent } from '../eventLog.ts'
import { ConnectionStringError } from './connectionStringError.ts'

/**
 * The only file that imports the store's client: its successor takes its place here. Of `@eventstore/db-client` it uses what
 * finds and keeps the connection (discovery, TLS, credentials, redirection to the leader) and the generated protocol. Its
 * appends and reads proper are not used: an append of theirs never settles when the server goes silent or ends the stream, a
 * connection lost under a full buffer rejects promises that nobody holds, a failure of one client rejects the appends of
 * another, and a read parses the metadata, so that its bytes are lost.
 */
export class StoreClient extends EventStoreDBClient {
  /** Throws when the connection string is not one. Connects at first use. */
  constructor(connectionString: string) {
    const options = parse(connectionString)
    const settings = {
      // One keep-alive unanswered for five seconds ends a connection that carries something: a silent network is noticed.
      keepAliveInterval: options.keepAliveInterval ?? 10_000,
      keepAliveTimeout: options.keepAliveTimeout ?? 5_000,
      connectionName: options.connectionName ?? 'waybill',
    }
    const discovery = {
      nodePreference: options.nodePreference ?? LEADER,
      discoveryInterval: options.discoveryInterval ?? 100,
      // In seconds, and for each node asked: a dead one must not hold up the others for long.
      gossipTimeout: options.gossipTimeout ?? 2,
      maxDiscoverAttempts: options.maxDiscoverAttempts ?? 3,
    }
    const [first] = options.hosts
    if (first === undefined) throw new ConnectionStringError('The connection string of EventStoreDB names no host')
    const credentials = {
      insecure: options.tls === false,
      ...(options.tlsCAFile === undefined ? null : { rootCertificate: readFileSync(options.tlsCAFile) }),
      ...(options.userKeyFile === undefined ? null : { userKeyFile: readFileSync(options.userKeyFile) }),
      ...(options.userCertFile === undefined ? null : { userCertFile: readFileSync(options.userCertFile) }),
    }
    const user = options.defaultCredentials
    if (options.dnsDiscover) super({ ...settings, ...discovery, discover: first }, credentials, user)
    else if (options.hosts.length > 1) super({ ...settings, ...discovery, endpoints: options.hosts }, credentials, user)
    else super({ ...settings, endpoint: first }, credentials, user)
  }

  /** Opens a stream of appends to the leader. Rejects when there is no connection to be had. */
  async openAppends(listener: AppendListener): Promise<AppendStream> {
    return this.execute(grpcStreams.StreamsClient, 'appends', async (grpc) => {
      const [metadata, options] = this.callArguments({ requiresLeader: true }, { deadline: Infinity })
      const stream = grpc.batchAppend(metadata, options)
      stream.on('data', (message: streams.BatchAppendResp) => {
        listener.answered(correlationOf(message.getCorrelationId()?.getString()), appendAnswer(message))
      })
      stream.on('end', () => listener.lost(new Error('The server ended the stream of appends')))
      stream.on('error', (error) => {
        listener.lost(error)
        this.#failed(grpc, error)
      })
      return {
        send: (correlation, append) => void stream.write(appendMessage(correlation, append)),
        cancel: () => {
          stream.cancel()
          // What did not answer is not to be used again; in a cluster the other nodes are asked first.
          this.#failed(grpc, new UnavailableError())
        },
      }
    })
  }

  /** Opens what a read or a subscription finds. Rejects when there is no connection to be had. */
  async openRead(query: Query): Promise<ReadStream> {
    return this.execute(grpcStreams.StreamsClient, 'reads', async (grpc) => {
      const deadline = query.timeoutMs === null ? Infinity : Date.now() + query.timeoutMs
      const [metadata, options] = this.callArguments({ requiresLeader: true }, { deadline })
      const stream = grpc.read(readRequest(query), metadata, options)
      stream.on('error', (error) => this.#failed(grpc, error))
      return {
        onItem: (listener) => void stream.on('data', (message: streams.ReadResp) => listener(readItem(message))),
        onEnd: (listener) => void stream.on('end', () => listener(null)).on('error', listener),
        pause: () => void stream.pause(),
        resume: () => void stream.resume(),
        cancel: () => stream.cancel(),
      }
    })
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    const channel = await this.getChannel().catch(() => null)
    channel?.close()
  }

  /** Has the next call connect anew, to the leader where the error names one. */
  #failed(grpc: Parameters<typeof this.handleError>[0], error: Error): void {
    this.handleError(grpc, error).catch(() => undefined)
  }
}

function parse(connectionString: string): ReturnType<typeof connectionStrings.parseConnectionString> {
  try {
    // The client's successor names its protocol so; everything after it is the same.
    return connectionStrings.parseConnectionString(connectionString.replace(/^\s*kurrentdb(?=\+discover:|:)/, 'esdb'))
  } catch {
    throw new ConnectionStringError('The connection string of EventStoreDB is not valid')
  }
}

export interface AppendListener {
  /** `correlation` as it was sent. */
  answered(correlation: number, answer: AppendAnswer): void
  /** Nothing more will be answered. May be said twice. */
  lost(error: Error): void
}

export interface AppendStream {
  send(correlation: number, append: Append): void
  /** Gives the stream up, and its connection with it. */
  cancel(): void
}

export interface ReadStream {
  onItem(listener: (item: ReadItem) => void): void
  /** Null: nothing more was found, or, of a subscription, the server ended it. May be called twice. */
  onEnd(listener: (error: Error | null) => void): void
  pause(): void
  resume(): void
  cancel(): void
}

/** Revisions and positions are inclusive in a read; a subscription begins after its position. */
export interface Query {
  readonly from:
    | { readonly stream: string; readonly revision: bigint | 'start' | 'end' }
    | { readonly position: bigint | 'start' | 'end' }
  readonly direction: 'forwards' | 'backwards'
  /** Null: for ever, as a subscription. */
  readonly maxCount: number | null
  /** Null: no end. */
  readonly timeoutMs: number | null
}

/** An event as the store keeps it, and as it is to be kept: with an id of the store's, and metadata as wire.ts makes them. */
export type StoredEvent = RecordedEvent
export type EventToStore = EventToAppend

export interface Append {
  readonly stream: string
  /** -1n: there is no stream. */
  readonly expected: bigint
  readonly events: readonly EventToStore[]
}

/** What the store says of an append. */
export type AppendAnswer =
  /** Written, now or before: the same ids at the same revisions. Revision and position of the last event. */
  | { readonly kind: 'written'; readonly revision: bigint; readonly position: bigint }
  | { readonly kind: 'conflict'; readonly actualRevision: bigint | null }
  | { readonly kind: 'too_large' }
  /** Not even tried: the node is not ready, too busy, or knows no leader. */
  | { readonly kind: 'not_handled'; readonly reason: string }
  /** Not written, and no better if sent again. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may still be written. */
  | { readonly kind: 'timed_out'; readonly reason: string }
  /** An error of this type, which the protocol did not have when this was written: it may be written or not. */
  | { readonly kind: 'unrecognized'; readonly type: string; readonly reason: string }

export type ReadItem =
  | { readonly kind: 'event'; readonly event: StoredEvent }
  /** Everything up to here was looked at. */
  | { readonly kind: 'checkpoint'; readonly position: bigint }
  | { readonly kind: 'no_stream' }
  | { readonly kind: 'other' }

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const empty = new shared.Empty()
/** Records the server looks at before it says how far it got; a subscription says so every fourth time. */
const searchWindow = 500
const lastPosition = 2n ** 64n - 1n

function appendMessage(correlation: number, append: Append): streams.BatchAppendReq {
  const options = new streams.BatchAppendReq.Options()
  options.setStreamIdentifier(streamIdentifier(append.stream))
  if (append.expected === -1n) options.setNoStream(empty)
  else options.setStreamPosition(String(append.expected))
  const message = new streams.BatchAppendReq()
  message.setOptions(options)
  message.setCorrelationId(uuid(correlationText(correlation)))
  message.setProposedMessagesList(append.events.map(proposedMessage))
  message.setIsFinal(true)
  return message
}

function proposedMessage({ id, type, data, metadata }: EventToStore): streams.BatchAppendReq.ProposedMessage {
  const message = new streams.BatchAppendReq.ProposedMessage()
  message.setId(uuid(id))
  message.setData(Buffer.from(data))
  message.setCustomMetadata(Buffer.from(metadata))
  message.getMetadataMap().set('type', type)
  message.getMetadataMap().set('content-type', 'application/json')
  return message
}

/** A UUID, as the protocol wants. */
function correlationText(correlation: number): string {
  return `00000000-0000-4000-8000-${correlation.toString(16).padStart(12, '0')}`
}

function correlationOf(text: string | undefined): number {
  return Number.parseInt(text?.slice(24) ?? '', 16)
}

function appendAnswer(message: streams.BatchAppendResp): AppendAnswer {
  const success = message.getSuccess()
  if (success === undefined) return refusal(message)
  const revision = BigInt(success.getCurrentRevision())
  const position = BigInt(success.getPosition()?.getCommitPosition() ?? 0)
  return { kind: 'written', revision, position }
}

function refusal(message: streams.BatchAppendResp): AppendAnswer {
  const status = message.getError()
  const details = status?.getDetails()
  const reason = status?.getMessage() ?? ''
  switch (details?.getTypeName()) {
    case 'event_store.client.WrongExpectedVersion': {
      const found = details.unpack(
        (bytes) => shared.WrongExpectedVersion.deserializeBinary(bytes),
        details.getTypeName(),
      )
      const known = found?.hasCurrentStreamRevision() === true
      return { kind: 'conflict', actualRevision: known ? BigInt(found.getCurrentStreamRevision()) : null }
    }
    case 'event_store.client.MaximumAppendSizeExceeded':
    // Of one event. The client's protocol does not have it, so it is known by its name alone.
    case 'event_store.client.MaximumAppendEventSizeExceeded':
      return { kind: 'too_large' }
    case 'event_store.client.AccessDenied':
    case 'event_store.client.StreamDeleted':
    case 'event_store.client.BadRequest':
      return { kind: 'refused', reason }
    case 'google.protobuf.Empty':
      return { kind: 'not_handled', reason }
    case 'event_store.client.Timeout':
    case 'event_store.client.InvalidTransaction':
    case 'event_store.client.Unknown':
      return { kind: 'timed_out', reason }
    default:
      return { kind: 'unrecognized', type: details?.getTypeName() ?? '', reason }
  }
}

function readRequest({ from, direction, maxCount }: Query): streams.ReadReq {
  const options = new streams.ReadReq.Options()
  if ('stream' in from) {
    const stream = new streams.ReadReq.Options.StreamOptions()
    stream.setStreamIdentifier(streamIdentifier(from.stream))
    if (from.revision === 'start') stream.setStart(empty)
    else if (from.revision === 'end') stream.setEnd(empty)
    else stream.setRevision(String(from.revision))
    options.setStream(stream)
    options.setNoFilter(empty)
  } else {
    const all = new streams.ReadReq.Options.AllOptions()
    if (from.position === 'start') all.setStart(empty)
    else if (from.position === 'end') all.setEnd(empty)
    else all.setPosition(logPosition(from.position))
    options.setAll(all)
    options.setFilter(withoutSystemStreams())
  }
  options.setReadDirection(direction === 'forwards' ? 0 : 1)
  if (maxCount === null) options.setSubscription(new streams.ReadReq.Options.SubscriptionOptions())
  else options.setCount(String(maxCount))
  const uuids = new streams.ReadReq.Options.UUIDOption()
  uuids.setString(empty)
  options.setUuidOption(uuids)
  const request = new streams.ReadReq()
  request.setOptions(options)
  return request
}

/** An event written by one append alone has the same commit and prepare position; so has each of several. */
function logPosition(position: bigint): streams.ReadReq.Options.Position {
  const text = String(position > lastPosition ? lastPosition : position)
  const message = new streams.ReadReq.Options.Position()
  message.setCommitPosition(text)
  message.setPreparePosition(text)
  return message
}

function withoutSystemStreams(): streams.ReadReq.Options.FilterOptions {
  const expression = new streams.ReadReq.Options.FilterOptions.Expression()
  expression.setRegex('^[^$]')
  const filter = new streams.ReadReq.Options.FilterOptions()
  filter.setStreamIdentifier(expression)
  filter.setMax(searchWindow)
  filter.setCheckpointintervalmultiplier(4)
  return filter
}

function readItem(message: streams.ReadResp): ReadItem {
  const event = message.getEvent()?.getEvent()
  if (event !== undefined) return { kind: 'event', event: storedEvent(event) }
  const checkpoint = message.getCheckpoint()
  if (checkpoint !== undefined) return { kind: 'checkpoint', position: BigInt(checkpoint.getCommitPosition()) }
  return { kind: message.hasStreamNotFound() ? 'no_stream' : 'other' }
}

function storedEvent(event: streams.ReadResp.ReadEvent.RecordedEvent): StoredEvent {
  return {
    stream: utf8.decode(event.getStreamIdentifier()?.getStreamName_asU8()),
    revision: BigInt(event.getStreamRevision()),
    position: BigInt(event.getCommitPosition()),
    id: event.getId()?.getString() ?? '',
    type: event.getMetadataMap().get('type') ?? '',
    data: utf8.decode(event.getData_asU8()),
    metadata: utf8.decode(event.getCustomMetadata_asU8()),
  }
}

function streamIdentifier(stream: string): shared.StreamIdentifier {
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(stream))
  return identifier
}

function uuid(text: string): shared.UUID {
  const message = new shared.UUID()
  message.setString(text)
  return message
}
