import { LogUnavailableError } from '../eventlog/eventLog.ts'
import type { Slots } from '../eventlog/slots.ts'
import { mustAskForReceipt, type Question } from './chain.ts'
import type { CommandFailure } from './commandService.ts'
import type { Lane, Ticket } from './lane.ts'
import { loadOn, type OperationLoader } from './operationLoader.ts'
import type { PipelineCatalog } from './pipelineCatalog.ts'
import type { TicketDesk } from './ticketDesk.ts'
import { failureOf } from './unreadable.ts'

/** What a lane asks of the log before its commands can be decided. While it asks, it stands in no line. */
export interface Inquiries {
  /** Reads the lane's operation, on from where the lane knows it. */
  load(lane: Lane): void
  ask(lane: Lane, question: Question): void
  /** Finds the pipeline a command would open its operation with, as of now. */
  findPipeline(lane: Lane, ticket: Ticket): void
}

export interface InquiriesOptions {
  readonly loader: OperationLoader
  readonly catalog: PipelineCatalog
  readonly slots: Slots
  readonly desk: TicketDesk
  /** Called after each question, answered or not. */
  readonly goOn: (lane: Lane) => void
  readonly reportUnreadable: (lane: Lane, error: unknown) => void
}

/** How many of a lane's commands may ask for old receipts at the same time. */
const receiptsAskedMax = 100

export function createInquiries(options: InquiriesOptions): Inquiries {
  const { loader, catalog, slots, desk, goOn, reportUnreadable } = options

  const under = (lane: Lane, question: () => Promise<void>): void => {
    lane.asking += 1
    const done = (): void => {
      lane.asking -= 1
      goOn(lane)
    }
    question().then(done, done)
  }

  const codeOf = (lane: Lane, error: unknown): CommandFailure['code'] => {
    if (!(error instanceof LogUnavailableError)) reportUnreadable(lane, error)
    return failureOf(error)
  }

  const failWaiting = (lane: Lane, error: unknown): void => {
    const code = codeOf(lane, error)
    const { waiting } = lane
    lane.waiting = []
    for (const ticket of waiting) desk.fail(ticket, code)
  }

  async function loadInto(lane: Lane): Promise<void> {
    const arrival = desk.arrivals()
    try {
      adopt(lane, await loadOn(loader, lane.operation, lane))
      lane.knowledge = 'confirmed'
      lane.confirmedAfter = arrival
    } catch (error) {
      failWaiting(lane, error)
    }
  }

  async function findPipelineOf(lane: Lane, ticket: Ticket): Promise<void> {
    const { pipeline, pipelineVersion } = ticket.command.body
    if (pipeline === undefined) return
    try {
      const record =
        pipelineVersion === undefined
          ? await catalog.newest(pipeline)
          : await catalog.version(pipeline, pipelineVersion)
      ticket.pipeline = record?.pipeline ?? null
    } catch (error) {
      desk.fail(ticket, codeOf(lane, error))
    }
  }

  async function findReceipt(lane: Lane, ticket: Ticket): Promise<void> {
    try {
      ticket.recorded = await slots.run(() => loader.receipt(lane.operation, ticket.command.key))
    } catch (error) {
      desk.fail(ticket, codeOf(lane, error))
    }
  }

  async function findReceipts(lane: Lane): Promise<void> {
    const asking = lane.waiting.filter((ticket) => !ticket.answered && mustAskForReceipt(lane, ticket))
    await Promise.all(asking.slice(0, receiptsAskedMax).map((ticket) => findReceipt(lane, ticket)))
  }

  const findPipeline = (lane: Lane, ticket: Ticket): void => under(lane, () => findPipelineOf(lane, ticket))

  return {
    load: (lane) => under(lane, () => slots.run(() => loadInto(lane))),
    ask(lane, question) {
      const first = lane.waiting[0]
      if (question === 'receipts') under(lane, () => findReceipts(lane))
      else if (question === 'pipeline' && first !== undefined) findPipeline(lane, first)
    },
    findPipeline,
  }
}

/** Takes what was folded, unless the lane knows more by now: two reads may end in another order than they began. */
export function adopt(lane: Lane, { folded, refuted }: Awaited<ReturnType<typeof loadOn>>): void {
  const known = lane.state?.revision ?? -1n
  if (!refuted && (folded.state?.revision ?? -1n) < known) return
  lane.state = folded.state
  lane.position = folded.position
  lane.receipts = folded.receipts
  lane.snapshotRevision = folded.snapshotRevision ?? (refuted ? -1n : lane.snapshotRevision)
}
