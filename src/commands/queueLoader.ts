import { LogUnavailableError } from '../eventlog/eventLog.ts'
import type { Semaphore } from '../runtime/semaphore.ts'
import type { Admission } from './admission.ts'
import { mustAskForReceipt, type Question } from './commandChain.ts'
import type { CommandFailure } from './commandService.ts'
import { loadOn, type OperationLoader } from './operationLoader.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import type { PendingCommand, StreamQueue } from './streamQueue.ts'
import { failureOf } from './unreadable.ts'

/** What a queue asks of the log before its commands can be decided. While it asks, it is in no batch. */
export interface QueueLoader {
  /** Reads the queue's operation, on from where the queue knows it. */
  load(queue: StreamQueue): void
  ask(queue: StreamQueue, question: Question): void
  /** Finds the pipeline a command would open its operation with, as of now. */
  findPipeline(queue: StreamQueue, pending: PendingCommand): void
}

export interface QueueLoaderOptions {
  readonly loader: OperationLoader
  readonly catalog: PipelineCatalog
  readonly slots: Semaphore
  readonly admission: Admission
  /** Called after each question, answered or not. */
  readonly resume: (queue: StreamQueue) => void
  readonly reportUnreadable: (queue: StreamQueue, error: unknown) => void
}

/** How many of a queue's commands may ask for old receipts at the same time. */
const receiptsAskedMax = 100

export function createQueueLoader(options: QueueLoaderOptions): QueueLoader {
  const { loader, catalog, slots, admission, resume, reportUnreadable } = options

  const under = (queue: StreamQueue, question: () => Promise<void>): void => {
    queue.asking += 1
    const done = (): void => {
      queue.asking -= 1
      resume(queue)
    }
    question().then(done, done)
  }

  const codeOf = (queue: StreamQueue, error: unknown): CommandFailure['code'] => {
    if (!(error instanceof LogUnavailableError)) reportUnreadable(queue, error)
    return failureOf(error)
  }

  const failWaiting = (queue: StreamQueue, error: unknown): void => {
    const code = codeOf(queue, error)
    const { waiting } = queue
    queue.waiting = []
    for (const pending of waiting) admission.fail(pending, code)
  }

  async function loadInto(queue: StreamQueue): Promise<void> {
    const arrival = admission.arrivals()
    try {
      adopt(queue, await loadOn(loader, queue.operation, queue))
      queue.knowledge = 'confirmed'
      queue.confirmedAfter = arrival
    } catch (error) {
      failWaiting(queue, error)
    }
  }

  async function findPipelineOf(queue: StreamQueue, pending: PendingCommand): Promise<void> {
    const { pipeline, pipelineVersion } = pending.command.body
    if (pipeline === undefined) return
    try {
      const record =
        pipelineVersion === undefined
          ? await catalog.newest(pipeline)
          : await catalog.version(pipeline, pipelineVersion)
      pending.pipeline = record?.pipeline ?? null
    } catch (error) {
      admission.fail(pending, codeOf(queue, error))
    }
  }

  async function findReceipt(queue: StreamQueue, pending: PendingCommand): Promise<void> {
    try {
      pending.recorded = await slots.run(() => loader.receipt(queue.operation, pending.command.key), pending.owner)
    } catch (error) {
      admission.fail(pending, codeOf(queue, error))
    }
  }

  async function findReceipts(queue: StreamQueue): Promise<void> {
    const asking = queue.waiting.filter((pending) => !pending.answered && mustAskForReceipt(queue, pending))
    await Promise.all(asking.slice(0, receiptsAskedMax).map((pending) => findReceipt(queue, pending)))
  }

  const findPipeline = (queue: StreamQueue, pending: PendingCommand): void =>
    under(queue, () => findPipelineOf(queue, pending))

  return {
    load: (queue) => under(queue, () => slots.run(() => loadInto(queue), queue.waiting[0]?.owner)),
    ask(queue, question) {
      const first = queue.waiting[0]
      if (question === 'receipts') under(queue, () => findReceipts(queue))
      else if (question === 'pipeline' && first !== undefined) findPipeline(queue, first)
    },
    findPipeline,
  }
}

/** Takes what was folded, unless the queue knows more by now: two reads may end in another order than they began. */
export function adopt(queue: StreamQueue, { folded, refuted }: Awaited<ReturnType<typeof loadOn>>): void {
  const known = queue.state?.revision ?? -1n
  if (!refuted && (folded.state?.revision ?? -1n) < known) return
  queue.state = folded.state
  queue.position = folded.position
  queue.receipts = folded.receipts
  queue.snapshotRevision = folded.snapshotRevision ?? (refuted ? -1n : queue.snapshotRevision)
}
