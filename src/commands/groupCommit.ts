import { performance } from 'node:perf_hooks'
import type { AppendOutcome, EventLog } from '../eventlog/eventLog.ts'
import { createSlots } from '../eventlog/slots.ts'
import { decide } from '../operation/decide.ts'
import type { Decision } from '../operation/decision.ts'
import { defaultLimits, type OperationLimits } from '../operation/limits.ts'
import type { OperationState } from '../operation/state.ts'
import { operationStream } from '../operation/streamName.ts'
import type { SnapshotStore } from '../snapshots/snapshotStore.ts'
import { accepted, receiptAgain } from './answers.ts'
import { createBatches } from './batches.ts'
import { type BatchRoom, buildChain, type Chain, type ChainTools, mustAskForPipeline } from './chain.ts'
import { type CommandLimits, defaultCommandLimits } from './commandLimits.ts'
import { createCommandOutcomes } from './commandOutcome.ts'
import type { CommandService, LoadedOperation } from './commandService.ts'
import { createPipelineDefiner } from './definePipeline.ts'
import { encodeRequest } from './encodeRequest.ts'
import { adopt, createInquiries } from './inquiries.ts'
import { createIntervener } from './intervene.ts'
import { isoClock } from './isoClock.ts'
import { createKeyReuse } from './keyReuse.ts'
import { forgetState, type Lane, type Ticket } from './lane.ts'
import { createLaneCache } from './laneCache.ts'
import { createOperationLoader, loadOn } from './operationLoader.ts'
import { createPipelineCatalog } from './pipelineCatalog.ts'
import { plus } from './plus.ts'
import { ReportCounts } from './reportCounts.ts'
import { type SettleTools, settleChain } from './settleChain.ts'
import { createSnapshots, noSnapshots, type SnapshotLogger } from './snapshots.ts'
import { createTicketDesk } from './ticketDesk.ts'
import { failureOf } from './unreadable.ts'
import { createUnreadableReports } from './unreadableReports.ts'

export interface CommandServiceOptions {
  readonly log: EventLog
  /** Milliseconds since 1970: what `recordedAt` says. */
  readonly clock: () => number
  /** Milliseconds that only grow: what deadlines and durations are measured by. Default: `performance.now`. */
  readonly monotonicMs?: () => number
  /** Each that is not given: `defaultCommandLimits`. */
  readonly limits?: Partial<CommandLimits>
  /** Sizes of operations. Default: `defaultLimits` of src/operation. */
  readonly operationLimits?: OperationLimits
  /** Where snapshots of long operations are kept. Default: nowhere. */
  readonly snapshots?: SnapshotStore
  readonly logger?: CommandLogger
}

/** The part of a pino logger that this room uses. */
export interface CommandLogger extends SnapshotLogger {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** How often waiting commands are looked over for those whose time is up: one timer for all of them. */
const sweepMs = 100

export function createCommandService(options: CommandServiceOptions): CommandService {
  const { log, clock, logger, monotonicMs = () => performance.now(), operationLimits = defaultLimits } = options
  const limits: CommandLimits = { ...defaultCommandLimits, ...options.limits }
  const reports = new ReportCounts()
  const desk = createTicketDesk(limits, monotonicMs, ({ operation, body }, opensWith, result) => {
    if (!('service' in body)) return
    const pipeline = lanes.get(operation)?.state?.pipeline.name ?? opensWith ?? 'unknown'
    if (result === null) reports.add(pipeline, body.service, 'failed', 'internal')
    else reports.note(pipeline, body.service, result)
  })
  const slots = createSlots(limits.loadsMax)
  const unreadable = createUnreadableReports(logger, monotonicMs)
  const keyReuse = createKeyReuse()
  const catalog = createPipelineCatalog({ log, pipelinesMax: limits.cachedPipelinesMax })
  const { receiptsMax, snapshotEvery } = limits
  const snapshots =
    options.snapshots === undefined
      ? noSnapshots
      : createSnapshots({ store: options.snapshots, catalog, every: snapshotEvery, monotonicMs, logger })
  const loader = createOperationLoader({ log, catalog, receiptsMax, snapshots, snapshotEvery })
  const lanes = createLaneCache({
    streamOf: operationStream,
    lanesMax: limits.cachedOperationsMax,
    bytesMax: limits.cachedBytesMax,
  })
  const inquiries = createInquiries({
    loader,
    catalog,
    slots,
    desk,
    goOn: (lane) => advance(lane),
    reportUnreadable: (lane, error) => unreadable.report(operationStream(lane.operation), error),
  })
  const batches = createBatches({
    log,
    limits,
    monotonicMs,
    build,
    settle,
    arrivals: desk.arrivals,
    reportBug: (bug) => logger?.error({ err: bug }, 'the log rejected a batch instead of answering it'),
  })
  const now = isoClock(clock)
  const reportUnreadable = (stream: string, error: unknown): void => unreadable.report(stream, error)
  const definer = createPipelineDefiner({ log, now, catalog, batches, desk, limits, keyReuse, reportUnreadable })
  const outcomeOf = createCommandOutcomes({ log, loader, load: loadFresh })
  const intervener = createIntervener({ log, now, batches, desk, limits, keyReuse, reportUnreadable })
  /** Lanes that had commands waiting when last looked at. */
  const busy = new Set<Lane>()
  let sweeper: NodeJS.Timeout | null = null

  /** Sees to it that a lane's waiting commands get on: the one place that decides what a lane does next. */
  function advance(lane: Lane): void {
    if (lane.inFlight || lane.asking > 0 || lane.inLine) return
    const first = lane.waiting[0]
    if (first === undefined) {
      lanes.settle(lane)
      return
    }
    if (lane.knowledge === 'unknown') {
      // Most opens are of ids that are not there yet. Taking that for granted spares a read; if it is wrong, the
      // expected revision says so, and then the stream is read.
      const opens = first.command.body.type === 'OpenOperation' && lane.state === null && first.conflicts === 0
      if (!opens) {
        inquiries.load(lane)
        return
      }
      lane.knowledge = 'assumedAbsent'
    }
    batches.enlist(lane)
  }

  const tools: ChainTools = {
    decide(ticket: Ticket, state: OperationState | null): Decision {
      const { command, pipeline } = ticket
      const { body } = command
      if (state === null && body.pipeline !== undefined && (pipeline ?? null) === null) {
        const version = body.pipelineVersion === undefined ? '' : ` in version ${body.pipelineVersion}`
        const detail = `Pipeline "${body.pipeline}" is not defined${version}`
        return { kind: 'refused', refusal: { code: 'not_found', detail } }
      }
      return decide(command, { state, pipeline: pipeline ?? null, now: now(), limits: operationLimits })
    },
    encode: encodeRequest,
    answerReceipt: (ticket, receipt) => desk.answer(ticket, receiptAgain(ticket, receipt, keyReuse)),
    answerNow(ticket, decision, lane) {
      const { operation, key } = ticket.command
      const place = { revision: lane.state?.revision ?? -1n, position: lane.position }
      desk.answer(
        ticket,
        decision.kind === 'refused'
          ? { kind: 'refused', operation, key, refusal: decision.refusal }
          : accepted(ticket, decision, place),
      )
    },
    answerNotTried: (ticket) => desk.fail(ticket, 'not_tried'),
    answerBug(ticket, bug) {
      logger?.error({ err: bug, operation: ticket.command.operation }, 'a command could not be decided')
      desk.failWithBug(ticket, bug)
    },
  }

  function build(lane: Lane, room: BatchRoom): Chain | null {
    const { chain, question } = buildChain(lane, room, tools)
    if (question !== null) inquiries.ask(lane, question)
    if (chain === null) advance(lane)
    return chain
  }

  function settle(chain: Chain, outcomes: readonly AppendOutcome[], offset: number, arrival: number): void {
    const { lane } = chain
    try {
      settleChain(chain, outcomes, offset, arrival, settleTools)
    } catch (bug) {
      // What the lane knows may be half-updated: let the log say what is true.
      forgetState(lane)
      for (const { ticket } of chain.entries) desk.failWithBug(ticket, bug)
      throw bug
    } finally {
      lanes.settle(lane)
      snapshots.consider(lane)
      advance(lane)
    }
  }

  const settleTools: SettleTools = {
    answer: (ticket, result) => desk.answer(ticket, result),
    fail: (ticket, code) => desk.fail(ticket, code),
    keyReuse,
    conflictsMax: limits.conflictsMax,
    receiptsMax,
  }

  function sweep(): void {
    const nowMs = monotonicMs()
    for (const lane of busy) {
      if (lane.waiting.length === 0) busy.delete(lane)
      else expireWaiting(lane, nowMs - limits.waitMsMax)
    }
    batches.eachOverdue(nowMs - limits.confirmMsMax, (chain) => {
      for (const { ticket } of chain.entries) desk.fail(ticket, 'outcome_unknown')
    })
    if (desk.open() > 0 || busy.size > 0) return
    clearInterval(sweeper ?? undefined)
    sweeper = null
  }

  function expireWaiting(lane: Lane, arrivedBeforeMs: number): void {
    // In order of arrival: when the first has time left, so have all.
    const first = lane.waiting[0]
    if (first === undefined || first.arrivedMs > arrivedBeforeMs) return
    const late = lane.waiting.filter((ticket) => ticket.arrivedMs <= arrivedBeforeMs)
    lane.waiting = lane.waiting.filter((ticket) => ticket.arrivedMs > arrivedBeforeMs)
    for (const ticket of late) desk.fail(ticket, 'overloaded')
    advance(lane)
  }

  return {
    submit: (command, group) =>
      new Promise((resolve, reject) => {
        const ticket = desk.take(command, group, resolve, reject)
        if (ticket === null) return
        sweeper ??= setInterval(sweep, sweepMs).unref()
        const lane = lanes.take(command.operation)
        lane.waiting = plus(lane.waiting, ticket)
        busy.add(lane)
        if (command.body.type === 'OpenOperation' && lane.state === null && mustAskForPipeline(ticket)) {
          inquiries.findPipeline(lane, ticket)
        } else advance(lane)
      }),

    definePipeline: (command) => definer.define(command),

    intervene: (command) => intervener.intervene(command),

    pipeline: (name, version) => (version === undefined ? catalog.newest(name) : catalog.version(name, version)),

    cached(operation) {
      const lane = lanes.get(operation)
      if (lane === undefined || lane.state === null) return null
      return { state: lane.state, position: lane.position }
    },

    load: (operation) => slots.run(() => loadFresh(operation)),

    outcome: (operation, key) => slots.run(() => outcomeOf(operation, key)),

    metrics: {
      inFlight: desk.open,
      inFlightMax: limits.queuedCommandsMax,
      reports: () => reports.all(),
      batches: batches.sent,
      unknownOutcomes: desk.unknownOutcomes,
      unreadable: unreadable.count,
      keyReuse: keyReuse.counts,
      onBatch: (listener) => batches.onBatch(listener),
    },

    drain: () => desk.close(),
  }

  async function loadFresh(operation: string): Promise<LoadedOperation | null> {
    const loaded = await loadOn(loader, operation, lanes.get(operation) ?? null).catch((error: unknown) => {
      // Others who read it learn that it is unreadable; that it was tampered with must be heard by operators too.
      if (failureOf(error) === 'tampered') reportUnreadable(operationStream(operation), error)
      throw error
    })
    const { folded } = loaded
    if (folded.state === null) return null
    const lane = lanes.take(operation)
    if (!lane.inFlight && lane.asking === 0) {
      adopt(lane, loaded)
      lane.knowledge = 'confirmed'
      lanes.settle(lane)
      snapshots.consider(lane)
    }
    return { state: folded.state, position: folded.position }
  }
}
