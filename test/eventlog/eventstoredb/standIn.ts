import gossipGrpc from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import grpcStreams from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type streams from '@eventstore/db-client/generated/streams_pb.js'
import grpc from '@grpc/grpc-js'
import {
  answer,
  checkpoint,
  clusterInfo,
  confirmation,
  type Member,
  noSuchStream,
  notReady,
  proposed,
  type ReadWanted,
  readEvent,
  readWanted,
  timeout,
  unheardOf,
} from './standInMessages.ts'
import { type ProposedAppend, StandInStore } from './standInStore.ts'

type AppendCall = grpc.ServerDuplexStream<streams.BatchAppendReq, streams.BatchAppendResp>
type ReadCall = grpc.ServerWritableStream<streams.ReadReq, streams.ReadResp>

/** What becomes of an append on its way: whether it is written, and what the client is told. */
export interface AppendOrder {
  /** Nothing happens before. */
  readonly after?: Promise<void>
  /** `late`: once it resolves. */
  readonly write: 'now' | 'never' | { readonly late: Promise<void> }
  readonly say: 'answer' | 'nothing' | 'end' | 'error' | 'timeout' | 'not_ready' | 'unheard_of'
}

const asItShould: AppendOrder = { write: 'now', say: 'answer' }

/** What becomes of a subscription after so many events. */
export interface SubscriptionOrder {
  readonly afterEvents: number
  readonly how: 'end' | 'error' | 'silence'
}

/** What a stand-in is to do wrong. Each is asked once for each call; null: nothing. */
export interface Orders {
  append: ((append: ProposedAppend) => AppendOrder | null) | null
  subscription: (() => SubscriptionOrder | null) | null
  /** Reads are left unanswered. */
  readsAreSilent: boolean
  /** Who the leader is said to be, where it is not this node. */
  leader: StandIn | null
  /** What the gossip says. Null: this node alone, which leads. */
  members: (() => readonly Member[]) | null
}

/**
 * A server that speaks EventStoreDB's protocol on the wire, from the client's own service definitions. It does right what
 * the adapter needs (facts.test.ts compares it with a real server), and wrong what it is told to.
 */
export interface StandIn {
  readonly host: string
  readonly port: number
  readonly connectionString: string
  readonly store: StandInStore
  readonly orders: Orders
  /** Subscriptions begun, and from where. */
  readonly subscribedFrom: (bigint | 'start' | 'end')[]
  /** Positions that subscriptions were told they had come to. */
  readonly checkpoints: bigint[]
  /** Events sent to subscriptions. */
  readonly sent: () => number
  /** Appends that came in, whatever became of them. */
  readonly appendsSeen: ProposedAppend[]
  /** Ends every connection at once, as if killed. */
  kill(): void
  /** Listens again, at the same port. */
  revive(): Promise<void>
  close(): Promise<void>
}

const host = '127.0.0.1'

export async function startStandIn(store: StandInStore = new StandInStore()): Promise<StandIn> {
  const orders: Orders = { append: null, subscription: null, readsAreSilent: false, leader: null, members: null }
  const subscribedFrom: (bigint | 'start' | 'end')[] = []
  const checkpoints: bigint[] = []
  const appendsSeen: ProposedAppend[] = []
  let eventsSent = 0
  let server = newServer()
  const port = await listen(server, 0)

  function newServer(): grpc.Server {
    const made = new grpc.Server({ 'grpc.max_receive_message_length': 8 * 1024 * 1024 })
    const unused = (): never => {
      throw new Error('Not used by the adapter')
    }
    made.addService(grpcStreams.StreamsService, {
      batchAppend: onAppends,
      read: (call: ReadCall) => void onRead(call).catch((error: Error) => call.destroy(error)),
      append: unused,
      delete: unused,
      tombstone: unused,
    })
    made.addService(gossipGrpc.GossipService, {
      read: (_: unknown, callback: grpc.sendUnaryData<ReturnType<typeof clusterInfo>>) => {
        const members = orders.members?.() ?? [{ host, port, isLeader: true, isAlive: true }]
        callback(null, clusterInfo(members))
      },
    })
    return made
  }

  function onAppends(call: AppendCall): void {
    call.on('error', () => undefined)
    call.on('end', () => call.end())
    if (orders.leader !== null) return void call.emit('error', notLeader(orders.leader))
    call.on('data', (request: streams.BatchAppendReq) => void onAppend(call, request))
  }

  async function onAppend(call: AppendCall, request: streams.BatchAppendReq): Promise<void> {
    const append = proposed(request)
    appendsSeen.push(append)
    if (orders.leader !== null) return void call.emit('error', notLeader(orders.leader))
    const { after, write, say } = orders.append?.(append) ?? asItShould
    await after
    if (typeof write === 'object') void write.late.then(() => store.append(append))
    const said = write === 'now' ? store.append(append) : null
    switch (say) {
      case 'answer':
        if (said !== null) call.write(answer(request, said))
        break
      case 'nothing':
        break
      case 'end':
        call.end()
        break
      case 'error':
        call.emit('error', { code: grpc.status.UNAVAILABLE, details: 'as ordered' })
        break
      case 'timeout':
        call.write(timeout(request))
        break
      case 'unheard_of':
        call.write(unheardOf(request))
        break
      case 'not_ready':
        call.write(notReady(request))
        break
      default:
        say satisfies never
    }
  }

  async function onRead(call: ReadCall): Promise<void> {
    call.setMaxListeners(0)
    call.on('error', () => undefined)
    if (orders.readsAreSilent) return
    if (orders.leader !== null) return void call.emit('error', notLeader(orders.leader))
    const wanted = readWanted(call.request)
    if (wanted.count === null) return subscribe(call, wanted)
    if (wanted.stream !== null && !store.streams.has(wanted.stream)) {
      call.write(noSuchStream())
    } else {
      for (const event of find(store, wanted)) await send(call, readEvent(event))
    }
    call.end()
  }

  async function subscribe(call: ReadCall, wanted: ReadWanted): Promise<void> {
    subscribedFrom.push(wanted.from)
    const order = orders.subscription?.() ?? null
    const cancelled = new AbortController()
    call.on('cancelled', () => cancelled.abort())
    call.on('close', () => cancelled.abort())
    await send(call, confirmation())
    const from = typeof wanted.from === 'bigint' ? wanted.from : 0n
    let next = store.all.findIndex(({ position }) => position > from)
    if (next === -1) next = store.all.length
    let sent = 0
    let looked = 0
    while (!cancelled.signal.aborted) {
      const { count } = store.appended
      for (; next < store.all.length && !cancelled.signal.aborted; next += 1) {
        const event = store.all[next]
        if (event === undefined) break
        looked += 1
        const matches = wanted.filter?.test(event.stream) !== false
        if (matches && order !== null && sent === order.afterEvents) return obey(call, order.how)
        if (matches) await send(call, readEvent(event))
        if (matches) sent += 1
        if (matches) eventsSent += 1
        if (looked % wanted.checkpointInterval !== 0) continue
        await send(call, checkpoint(event.position))
        checkpoints.push(event.position)
      }
      await store.appended.wait(cancelled.signal, undefined, count)
    }
  }

  return {
    host,
    port,
    connectionString: `esdb://${host}:${port}?tls=false`,
    store,
    orders,
    subscribedFrom,
    checkpoints,
    sent: () => eventsSent,
    appendsSeen,
    kill: () => server.forceShutdown(),
    async revive() {
      server = newServer()
      await listen(server, port)
    },
    close: async () => server.forceShutdown(),
  }
}

function obey(call: ReadCall, how: SubscriptionOrder['how']): void {
  if (how === 'end') call.end()
  else if (how === 'error') call.emit('error', { code: grpc.status.UNAVAILABLE, details: 'as ordered' })
}

function find(store: StandInStore, wanted: ReadWanted): StandInStore['all'] {
  const { stream, from, backwards, filter } = wanted
  const events = stream === null ? store.all : (store.streams.get(stream) ?? [])
  const placeOf = (event: (typeof events)[number]) => (stream === null ? event.position : event.revision)
  const found = events.filter((event) => {
    if (filter?.test(event.stream) === false) return false
    if (from === 'start') return !backwards
    if (from === 'end') return backwards
    return backwards ? placeOf(event) <= from : placeOf(event) >= from
  })
  return (backwards ? found.reverse() : found).slice(0, wanted.count ?? 0)
}

/** Waits where the client does not read on. */
async function send(call: ReadCall, message: streams.ReadResp): Promise<void> {
  if (call.write(message) || call.cancelled) return
  await new Promise<void>((resolve) => {
    call.once('drain', resolve)
    call.once('cancelled', resolve)
    call.once('close', resolve)
  })
}

function notLeader(leader: StandIn): Partial<grpc.ServiceError> {
  const metadata = new grpc.Metadata()
  metadata.set('exception', 'not-leader')
  metadata.set('leader-endpoint-host', leader.host)
  metadata.set('leader-endpoint-port', String(leader.port))
  return { code: grpc.status.NOT_FOUND, details: 'Leader info available', metadata }
}

function listen(server: grpc.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
}
