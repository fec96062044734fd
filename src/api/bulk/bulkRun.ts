import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { CommandGroup } from '../../commands/commandService.ts'
import { unauthorised } from '../accessControl.ts'
import type { UnpackedBody } from '../contentEncoding.ts'
import type { ApiContext } from '../context.ts'
import { lingerMs, lingerWhileMoving } from '../lingeringClose.ts'
import type { Problem } from '../problem.ts'
import type { RateCounts } from '../rateLimit.ts'
import { commandProblem } from '../submission.ts'
import type { BulkAnswer, UnreadResults } from './bulkAnswer.ts'
import { type BulkPace, pauseMs } from './bulkPace.ts'
import { type BulkScheduler, refusedPerTick } from './bulkScheduler.ts'
import type { BulkShare } from './bulkShare.ts'
import { type LineSender, parseCommandLine } from './commandLine.ts'
import { createLineSplitter, type Line, type LineSplitter } from './lineSplitter.ts'
import { cutLine, type ResultForm } from './resultForm.ts'
import { type Result, ResultQueue } from './resultQueue.ts'

export interface BulkSender extends LineSender {
  /** Whose share it uses (bulkShare.ts). */
  readonly owner: string
  /** Asked before each piece of the upload: its key may have been revoked since it began. */
  isAllowed(): boolean
}

/** What all bulk requests share. */
export interface BulkResources {
  readonly rate: RateCounts
  readonly share: BulkShare
  readonly pace: BulkPace
  readonly scheduler: BulkScheduler
  readonly unread: UnreadResults
}

export interface BulkRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Null: the request as it comes. */
  readonly unpacked: UnpackedBody | null
  readonly sender: BulkSender
  readonly form: ResultForm
}

/** When so many operations had a command fail, the store is down: the rest of the upload would only be told so. */
const failedOperationsMax = 10_000

const stopping: Problem = { code: 'overloaded', detail: 'The service is about to stop.' }
const logGone: Problem = { code: 'log_unavailable', detail: 'The event log failed for too many commands.' }
const stoodStill: Problem = { code: 'timeout', detail: 'The request stood still for too long.' }
const unread: Problem = {
  code: 'overloaded',
  detail:
    'The service holds as many results that are not read as it can. Read them while you send, or ask for results=failures.',
}
const corrupt: Problem = { code: 'invalid', detail: 'The body is not as its Content-Encoding says, or ends too early.' }

/**
 * Reads commands from an upload and writes their results, in the order of the lines. What is in hand is bounded both
 * ways: lines are read no faster than commands are settled and results are taken. An answer that ends before the upload
 * does says why, and up to which line commands were read: when the service shuts down, the upload stands still or is
 * corrupt, nobody reads the results, or the log is gone. When the key is revoked, the next line is told so.
 */
export class BulkRun {
  readonly #context: ApiContext
  readonly #shared: BulkResources
  readonly #bulk: BulkRequest
  readonly #answer: BulkAnswer
  readonly #results: ResultQueue
  readonly #splitter: LineSplitter
  readonly #group: CommandGroup = { failed: new Map() }
  #state: 'arriving' | 'ended' | 'cut' = 'arriving'
  /** Why the answer ends before the request; null: it is told by its last result, or nobody is there to be told. */
  #reason: Problem | null = null
  /** What the run waits for, which decides what it means when the clock runs out. */
  #waitingFor: 'bytes' | 'commands' | 'reader' = 'bytes'
  /** Of the answer, when it was looked at last. */
  #unreadBytes = 0
  #wake: () => void = () => undefined
  #begin: (refusal: Problem | null) => void = () => undefined
  /** Resolves once a line has its result; or with a problem when the request came to nothing before its first line. */
  readonly begun: Promise<Problem | null>

  constructor(context: ApiContext, shared: BulkResources, bulk: BulkRequest) {
    this.#context = context
    this.#shared = shared
    this.#bulk = bulk
    this.#answer = shared.unread.open(() => this.#wake())
    // Nobody reads what is left of it: its room is for others.
    bulk.response.once('close', () => this.#answer.stream.destroy())
    this.#results = new ResultQueue(bulk.form)
    this.#splitter = createLineSplitter(context.limits.bodyBytesMax)
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  get results(): Readable {
    return this.#answer.stream
  }

  /** Ends before its upload does, for the reason given: what became a command by now still gets its result. */
  giveWay(reason: Problem): void {
    this.#cut(reason)
  }

  /** Resolves when the answer is made; what is left of the request is passed over then. */
  async run(): Promise<void> {
    const { draining, limits } = this.#context
    const { request, response, unpacked } = this.#bulk
    const upload = unpacked ?? request
    const idle = setInterval(() => this.#onIdle(), limits.bulkIdleMsMax)
    const onData = (chunk: Buffer) => {
      idle.refresh()
      this.#splitter.push(chunk)
      upload.pause()
      this.#wake()
    }
    const onEnd = () => this.#onEnd()
    const onLost = () => this.#cut(null)
    const onDrain = () => this.#cut(stopping)
    upload.on('data', onData).on('end', onEnd).on('error', onLost).on('close', onLost)
    draining.addEventListener('abort', onDrain)
    if (draining.aborted) onDrain()
    this.#shared.share.enter(this.#bulk.sender.owner)
    try {
      await this.#work(upload, () => idle.refresh())
      this.#end()
    } catch (error) {
      this.#begin(null)
      this.#answer.stream.destroy(error as Error)
    } finally {
      clearInterval(idle)
      this.#shared.share.leave(this.#bulk.sender.owner)
      draining.removeEventListener('abort', onDrain)
      upload.off('data', onData).off('end', onEnd).off('error', onLost).off('close', onLost)
      unpacked?.destroy()
      const isSilent = this.#reason === stoodStill || draining.aborted
      lingerWhileMoving(request, response, isSilent ? lingerMs : limits.bulkIdleMsMax)
    }
  }

  async #work(upload: Readable, onProgress: () => void): Promise<void> {
    const { pace, scheduler } = this.#shared
    const { owner } = this.#bulk.sender
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      // Held back: it goes on by itself, in a moment or in the next second.
      const isAhead = pace.isAhead() || !this.#shared.rate.hasRoom(owner)
      const { hungry, refused, isBlocked } = isAhead ? nothingRead : this.#readLines()
      if (this.#group.failed.size > failedOperationsMax) this.#cut(logGone)
      const isTickOver = refused === refusedPerTick
      if (isTickOver) await scheduler.next(owner)
      const { text, count } = this.#results.takeSettled()
      if (count > 0) {
        onProgress()
        this.#begin(null)
        this.#answer.write(text)
        continue
      }
      if (isTickOver) continue
      if (this.#results.inHand === 0 && (this.#state === 'cut' || (this.#state === 'ended' && hungry))) return
      this.#unreadBytes = this.#answer.unreadBytes()
      this.#waitingFor = hungry ? 'bytes' : this.#answer.hasRoom() ? 'commands' : 'reader'
      if (hungry && this.#state === 'arriving') upload.resume()
      // Without a command of its own under way, nothing else would wake it.
      const looksAgain = isAhead || (isBlocked && this.#results.inHand === 0)
      const pause = looksAgain ? setTimeout(this.#wake, isAhead ? pauseMs : blockedPauseMs) : undefined
      await woken
      clearTimeout(pause)
    }
  }

  /** Makes commands of lines as far as there is room. */
  #readLines(): LinesRead {
    const isAllowed = this.#bulk.sender.isAllowed()
    const isRead = this.#answer.hasRoom()
    let refused = 0
    const { rate, share } = this.#shared
    const { owner } = this.#bulk.sender
    while (isRead && rate.hasRoom(owner) && this.#hasRoom() && this.#state !== 'cut' && refused < refusedPerTick) {
      // Taken before the line: whether that is a command is known once it was read.
      if (!share.take(owner)) return { hungry: false, refused, isBlocked: true }
      const line = this.#splitter.next()
      if (line === null) {
        share.release(owner)
        return { hungry: true, refused, isBlocked: false }
      }
      rate.count(owner)
      if (!isAllowed) {
        // One line is told; the rest of the upload is nobody's.
        share.release(owner)
        this.#results.settle(this.#results.open(line), unauthorised)
        this.#cut(null)
      } else if (!this.#submit(line)) {
        share.release(owner)
        refused += 1
      }
    }
    return { hungry: false, refused, isBlocked: false }
  }

  #hasRoom(): boolean {
    const { inHand, bytesInHand } = this.#results
    return (
      inHand < this.#shared.share.commandsMax(this.#bulk.sender.owner) &&
      bytesInHand < this.#context.limits.bulkBytesMax
    )
  }

  /** Whether it became a command: then what was taken of the share is released with its result. */
  #submit(line: Line): boolean {
    const { commands, limits } = this.#context
    const place = this.#results.open(line)
    const parsed = parseCommandLine(line, limits, this.#bulk.sender)
    if (!parsed.ok) {
      this.#results.settle(place, parsed.problem)
      return false
    }
    const { command } = parsed
    const { share } = this.#shared
    const { owner } = this.#bulk.sender
    const settle = (result: Result) => {
      share.release(owner)
      this.#results.settle(place, result)
      if (this.#results.isNext(place)) this.#wake()
    }
    commands
      .submit(command, this.#group, owner)
      .then((result) => {
        if (result.kind === 'accepted') {
          this.#shared.pace.appended(result.position)
          settle(this.#bulk.form.accepted(result))
        } else if (result.kind === 'failed') settle(result)
        else settle(commandProblem(result))
      })
      .catch(() => {
        const detail = 'The command could not be carried out.'
        settle({ code: 'internal', detail, operation: command.operation, command: command.key })
      })
    return true
  }

  #onEnd(): void {
    if (this.#bulk.unpacked?.isCorrupt() === true) {
      this.#cut(corrupt)
    } else {
      if (this.#state === 'arriving') this.#state = 'ended'
      this.#splitter.end()
      this.#wake()
    }
  }

  #onIdle(): void {
    if (this.#waitingFor === 'bytes') this.#cut(stoodStill)
    if (this.#waitingFor !== 'reader') return
    const bytes = this.#answer.unreadBytes()
    if (bytes < this.#unreadBytes) this.#unreadBytes = bytes
    else this.#cut(unread)
  }

  /** Makes no commands of further lines. Lines that have come whole are still taken when the upload has ended in order. */
  #cut(reason: Problem | null): void {
    if (this.#state === 'arriving' || (this.#state === 'ended' && reason === unread)) {
      this.#state = 'cut'
      this.#reason = reason
    }
    this.#wake()
  }

  #end(): void {
    const { lastLine } = this.#results
    const reason = this.#reason
    if (reason === null) this.#answer.write(this.#state === 'ended' ? this.#results.end() : '')
    else if (lastLine === 0) this.#begin(reason)
    else this.#answer.write(cutLine(reason, lastLine))
    this.#begin(null)
    this.#answer.end()
  }
}

interface LinesRead {
  /** All that has come is used up. */
  readonly hungry: boolean
  readonly refused: number
  /** Other requests have all of what its key may have in hand. */
  readonly isBlocked: boolean
}

const nothingRead: LinesRead = { hungry: false, refused: 0, isBlocked: false }

/** Hundreds of requests may be blocked at once. */
const blockedPauseMs = 50
