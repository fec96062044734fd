import { performance } from 'node:perf_hooks'
import type { AppendOutcome, EventLog } from '../eventlog/eventLog.ts'
import { decide } from '../operation/decide.ts'
import type { Decision } from '../operation/decision.ts'
import { defaultLimits, type OperationLimits } from '../operation/limits.ts'
import type { OperationState } from '../operation/state.ts'
import { operationStream } from '../operation/streamName.ts'
import { createSemaphore } from '../runtime/semaphore.ts'
import type { SnapshotStore } from '../snapshots/snapshotStore.ts'
import { type Answered, createAdmission } from './admission.ts'
import { accepted, receiptAgain } from './answers.ts'
import { createAppendBatcher } from './appendBatcher.ts'
import { type ApplyTools, applyOutcomes } from './applyOutcomes.ts'
import { type BatchRoom, buildChain, type ChainTools, type CommandChain, mustAskForPipeline } from './commandChain.ts'
import { type CommandLimits, defaultCommandLimits } from './commandLimits.ts'
import { createCommandOutcomes } from './commandOutcome.ts'
import type { CommandService, LoadedOperation } from './commandService.ts'
import { createPipelineDefiner } from './definePipeline.ts'
import { encodeRequest } from './encodeRequest.ts'
import { createIntervener } from './intervene.ts'
import { isoClock } from './isoClock.ts'
import { createKeyReuse } from './keyReuse.ts'
import { createOperationLoader, loadOn } from './operationLoader.ts'
import { createPipelineCatalog } from './pipelineCatalog.ts'
import { plus } from './plus.ts'
import { adopt, createQueueLoader } from './queueLoader.ts'
import { ReportCounts } from './reportCounts.ts'
import { createSnapshots, noSnapshots, type SnapshotLogger } from './snapshots.ts'
import { dequeue, forgetState, type PendingCommand, type StreamQueue } from './streamQueue.ts'
import { createStreamQueueCache } from './streamQueueCache.ts'
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

/** The part of a pino logger that this module uses. */
export interface CommandLogger extends SnapshotLogger {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** How often waiting commands are looked over for those whose time is up: one timer for all of them. */
const sweepMs = 100

export function createCommandService(options: CommandServiceOptions): CommandService {
  const { log, clock, logger, monotonicMs = () => performance.now(), operationLimits = defaultLimits } = options
  const limits: CommandLimits = { ...defaultCommandLimits, ...options.limits }
  const reports = new ReportCounts()
  const countAnswer: Answered = ({ operation, body }, opensWith, result) => {
    if (!('service' in body)) return
    const pipeline = queues.get(operation)?.state?.pipeline.name ?? opensWith ?? 'unknown'
    if (result === null) reports.add(pipeline, body.service, 'failed', 'internal')
    else reports.note(pipeline, body.service, result)
  }
  const admission = createAdmission(limits, monotonicMs, countAnswer, (pending) => {
    const queue = queues.get(pending.command.operation)
    if (queue !== undefined) dequeue(queue, pending)
  })
  const slots = createSemaphore(limits.loadsMax)
  const unreadable = createUnreadableReports(logger, monotonicMs)
  const keyReuse = createKeyReuse()
  const catalog = createPipelineCatalog({ log, pipelinesMax: limits.cachedPipelinesMax })
  const { receiptsMax, snapshotEvery } = limits
  const snapshots =
    options.snapshots === undefined
      ? noSnapshots
      : createSnapshots({ store: options.snapshots, catalog, every: snapshotEvery, monotonicMs, logger })
  const loader = createOperationLoader({ log, catalog, receiptsMax, snapshots, snapshotEvery })
  const queues = createStreamQueueCache({
    streamOf: operationStream,
    queuesMax: limits.cachedOperationsMax,
    bytesMax: limits.cachedBytesMax,
  })
  const queueLoader = createQueueLoader({
    loader,
    catalog,
    slots,
    admission,
    resume: (queue) => advance(queue),
    reportUnreadable: (queue, error) => unreadable.report(operationStream(queue.operation), error),
  })
  const batcher = createAppendBatcher({
    log,
    limits,
    monotonicMs,
    build,
    settle,
    arrivals: admission.arrivals,
    reportBug: (bug) => logger?.error({ err: bug }, 'the log rejected a batch instead of answering it'),
  })
  const now = isoClock(clock)
  const reportUnreadable = (stream: string, error: unknown): void => unreadable.report(stream, error)
  const definer = createPipelineDefiner({ log, now, catalog, batcher, admission, limits, keyReuse, reportUnreadable })
  const outcomeOf = createCommandOutcomes({ log, loader, load: loadFresh })
  const intervener = createIntervener({ log, now, batcher, admission, limits, keyReuse, reportUnreadable })
  /** Queues that had commands waiting when last looked at. */
  const busy = new Set<StreamQueue>()
  let sweeper: NodeJS.Timeout | null = null

  /** Sees to it that a queue's waiting commands get on: the one place that decides what a queue does next. */
  function advance(queue: StreamQueue): void {
    if (queue.inFlight || queue.asking > 0 || queue.isReady) return
    const first = queue.waiting[0]
    if (first === undefined) {
      queues.settle(queue)
      return
    }
    if (queue.knowledge === 'unknown') {
      // Most opens are of ids that are not there yet. Taking that for granted spares a read; if it is wrong, the
      // expected revision says so, and then the stream is read.
      const opens = first.command.body.type === 'OpenOperation' && queue.state === null && first.conflicts === 0
      if (!opens) {
        queueLoader.load(queue)
        return
      }
      queue.knowledge = 'assumedAbsent'
    }
    batcher.ready(queue)
  }

  const tools: ChainTools = {
    decide(pending: PendingCommand, state: OperationState | null): Decision {
      const { command, pipeline } = pending
      const { body } = command
      if (state === null && body.pipeline !== undefined && (pipeline ?? null) === null) {
        const version = body.pipelineVersion === undefined ? '' : ` in version ${body.pipelineVersion}`
        const detail = `Pipeline "${body.pipeline}" is not defined${version}`
        return { kind: 'refused', refusal: { code: 'not_found', detail } }
      }
      return decide(command, { state, pipeline: pipeline ?? null, now: now(), limits: operationLimits })
    },
    encode: encodeRequest,
    answerReceipt: (pending, receipt) => admission.answer(pending, receiptAgain(pending, receipt, keyReuse)),
    answerNow(pending, decision, queue) {
      const { operation, key } = pending.command
      const place = { revision: queue.state?.revision ?? -1n, position: queue.position }
      admission.answer(
        pending,
        decision.kind === 'refused'
          ? { kind: 'refused', operation, key, refusal: decision.refusal }
          : accepted(pending, decision, place),
      )
    },
    answerNotTried: (pending) => admission.fail(pending, 'not_tried'),
    answerBug(pending, bug) {
      logger?.error({ err: bug, operation: pending.command.operation }, 'a command could not be decided')
      admission.failWithBug(pending, bug)
    },
  }

  function build(queue: StreamQueue, room: BatchRoom): CommandChain | null {
    const { chain, question } = buildChain(queue, room, tools)
    if (question !== null) queueLoader.ask(queue, question)
    if (chain === null) advance(queue)
    else for (const { pending } of chain.commands) admission.sent(pending)
    return chain
  }

  function settle(chain: CommandChain, outcomes: readonly AppendOutcome[], offset: number, arrival: number): void {
    const { queue } = chain
    try {
      applyOutcomes(chain, outcomes, offset, arrival, applyTools)
    } catch (bug) {
      // What the queue knows may be half-updated: let the log say what is true.
      forgetState(queue)
      for (const { pending } of chain.commands) admission.failWithBug(pending, bug)
      throw bug
    } finally {
      queues.settle(queue)
      snapshots.consider(queue)
      advance(queue)
    }
  }

  const applyTools: ApplyTools = {
    answer: (pending, result) => admission.answer(pending, result),
    fail: (pending, code) => admission.fail(pending, code),
    keyReuse,
    conflictsMax: limits.conflictsMax,
    receiptsMax,
  }

  function sweep(): void {
    const nowMs = monotonicMs()
    for (const queue of busy) {
      if (queue.waiting.length === 0) busy.delete(queue)
      else expireWaiting(queue, nowMs - limits.waitMsMax)
    }
    batcher.eachOverdue(nowMs - limits.confirmMsMax, (chain) => {
      for (const { pending } of chain.commands) admission.fail(pending, 'outcome_unknown')
    })
    if (admission.open() > 0 || busy.size > 0) return
    clearInterval(sweeper ?? undefined)
    sweeper = null
  }

  function expireWaiting(queue: StreamQueue, arrivedBeforeMs: number): void {
    // In order of arrival: when the first has time left, so have all.
    const first = queue.waiting[0]
    if (first === undefined || first.arrivedMs > arrivedBeforeMs) return
    const late = queue.waiting.filter((pending) => pending.arrivedMs <= arrivedBeforeMs)
    queue.waiting = queue.waiting.filter((pending) => pending.arrivedMs > arrivedBeforeMs)
    for (const pending of late) admission.fail(pending, 'overloaded')
    advance(queue)
  }

  return {
    submit: (command, group, owner) =>
      new Promise((resolve, reject) => {
        const pending = admission.take(command, group, resolve, reject, owner)
        if (pending === null) return
        sweeper ??= setInterval(sweep, sweepMs).unref()
        const queue = queues.take(command.operation)
        queue.waiting = plus(queue.waiting, pending)
        busy.add(queue)
        if (command.body.type === 'OpenOperation' && queue.state === null && mustAskForPipeline(pending)) {
          queueLoader.findPipeline(queue, pending)
        } else advance(queue)
      }),

    definePipeline: (command) => definer.define(command),

    intervene: (command) => intervener.intervene(command),

    pipeline: (name, version) => (version === undefined ? catalog.newest(name) : catalog.version(name, version)),

    cached(operation) {
      const queue = queues.get(operation)
      if (queue === undefined || queue.state === null) return null
      return { state: queue.state, position: queue.position }
    },

    load: (operation) => slots.run(() => loadFresh(operation)),

    outcome: (operation, key) => slots.run(() => outcomeOf(operation, key)),

    metrics: {
      inFlight: admission.open,
      inFlightMax: limits.queuedCommandsMax,
      queued: admission.counts,
      reports: () => reports.all(),
      batches: batcher.sent,
      unknownOutcomes: admission.unknownOutcomes,
      unreadable: unreadable.count,
      keyReuse: keyReuse.counts,
      onBatch: (listener) => batcher.onBatch(listener),
    },

    drain: () => admission.close(),
  }

  async function loadFresh(operation: string): Promise<LoadedOperation | null> {
    const loaded = await loadOn(loader, operation, queues.get(operation) ?? null).catch((error: unknown) => {
      // Others who read it learn that it is unreadable; that it was tampered with must be heard by operators too.
      if (failureOf(error) === 'tampered') reportUnreadable(operationStream(operation), error)
      throw error
    })
    const { folded } = loaded
    if (folded.state === null) return null
    const queue = queues.take(operation)
    if (!queue.inFlight && queue.asking === 0) {
      adopt(queue, loaded)
      queue.knowledge = 'confirmed'
      queues.settle(queue)
      snapshots.consider(queue)
    }
    return { state: folded.state, position: folded.position }
  }
}
