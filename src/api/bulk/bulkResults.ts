import type { IncomingMessage } from 'node:http'
import type { CommandGroup, CommandResult } from '../../commands/commandService.ts'
import { unauthorised } from '../accessControl.ts'
import type { ApiContext } from '../context.ts'
import { failureProblem, type Problem, problemStatus, problemText } from '../problem.ts'
import { acceptedLine } from '../receiptText.ts'
import { commandProblem } from '../submission.ts'
import { type BulkPace, pauseMs } from './bulkPace.ts'
import type { BulkShare } from './bulkShare.ts'
import { type BulkTurns, refusedOfTurn } from './bulkTurns.ts'
import { type LineSender, parseCommandLine } from './commandLine.ts'
import { createLineSplitter, type Line } from './lineSplitter.ts'

export interface BulkSender extends LineSender {
  /** Asked before each piece of the upload: its key may have been revoked since it began. */
  isAllowed(): boolean
}

type Failed = Extract<CommandResult, { kind: 'failed' }>

/** A line's place in the answer; `result` is null until its command is settled. */
interface Place {
  readonly number: number
  readonly bytes: number
  result: string | Failed | null
}

/** When so many operations had a command fail, the store is down: the rest of the upload would only be told so. */
const failedOperationsMax = 10_000

const path = '/v1/commands'

export interface BulkRoom {
  readonly share: BulkShare
  readonly pace: BulkPace
  readonly turns: BulkTurns
}

/**
 * Reads commands from an upload and yields their results, in the order of the lines. What is in hand is bounded both
 * ways: lines are read no faster than results are taken, and nothing is yielded for a line that nobody waits for.
 * Ends before the upload does when the service shuts down, the upload stands still, its key is revoked or the log is
 * gone: a line without a result was not tried, or its outcome is unknown.
 */
export async function* bulkResults(
  context: ApiContext,
  { share, pace, turns }: BulkRoom,
  upload: IncomingMessage,
  sender: BulkSender,
): AsyncGenerator<string, void, undefined> {
  const { limits, draining } = context
  const group: CommandGroup = { failed: new Map() }
  /** Operations of which a line that is answered already has an open outcome. */
  const openOutcomes = new Set<string>()
  const splitter = createLineSplitter(limits.bodyBytesMax)
  const places: (Place | undefined)[] = []
  let first = 0
  let bytesInHand = 0
  let state = 'arriving' as 'arriving' | 'ended' | 'cut'
  /** What the generator waits for, which decides what it means when the clock runs out. */
  let waitingFor = 'bytes' as 'bytes' | 'commands' | 'reader'
  let wake: () => void = () => undefined

  const hasRoom = () => places.length - first < share.commandsMax() && bytesInHand < limits.bulkBytesMax

  function placeOf(line: Line): Place {
    const place: Place = { number: line.number, bytes: 'text' in line ? line.text.length : 0, result: null }
    places.push(place)
    bytesInHand += place.bytes
    return place
  }

  /** Whether it became a command. */
  function submit(line: Line): boolean {
    const place = placeOf(line)
    const parsed = parseCommandLine(line, limits, sender)
    if (!parsed.ok) {
      place.result = problemLine(parsed.problem, line.number)
      return false
    }
    const { command } = parsed
    const settle = (result: string | Failed) => {
      place.result = result
      if (places[first] === place) wake()
    }
    context.commands
      .submit(command, group)
      .then(async (result) => {
        if (result.kind === 'accepted') {
          pace.appended(result.position)
          settle(acceptedLine(result, context.tokens))
        } else if (result.kind === 'failed') settle(result)
        else settle(problemLine(await commandProblem(context, command, result), line.number))
      })
      .catch(() => {
        const detail = 'The command could not be carried out.'
        settle(
          problemLine({ code: 'internal', detail, operation: command.operation, command: command.key }, line.number),
        )
      })
    return true
  }

  /** When one batch with several commands of an operation fails, only its first line is told of the failure itself. */
  function failedLine({ operation, key, failure }: Failed, number: number): string {
    const later = openOutcomes.has(operation) && failure.code !== 'outcome_unknown'
    openOutcomes.add(operation)
    const told = later ? { ...failure, code: 'not_tried' as const } : failure
    return problemLine(failureProblem(told, operation, key), number)
  }

  /** The results that are settled, up to the first that is not. */
  function takeSettled(): string {
    let text = ''
    for (let place = places[first]; place !== undefined && place.result !== null; place = places[first]) {
      text += typeof place.result === 'string' ? place.result : failedLine(place.result, place.number)
      bytesInHand -= place.bytes
      places[first] = undefined
      first += 1
    }
    // Dropped now and then, not one by one: shifting an array of thousands costs more than the commands.
    if (first > 1_024 || first === places.length) {
      places.splice(0, first)
      first = 0
    }
    return text
  }

  const cut = () => {
    if (state === 'arriving') state = 'cut'
    wake()
  }
  const idle = setTimeout(() => {
    if (waitingFor === 'bytes') cut()
    else if (waitingFor === 'reader') upload.destroy()
    else idle.refresh()
  }, limits.bulkIdleMsMax)
  const onData = (chunk: Buffer) => {
    idle.refresh()
    splitter.push(chunk)
    upload.pause()
    wake()
  }
  const onEnd = () => {
    if (state === 'arriving') state = 'ended'
    splitter.end()
    wake()
  }
  upload.on('data', onData).on('end', onEnd).on('error', cut).on('close', cut)
  draining.addEventListener('abort', cut)
  if (draining.aborted) cut()
  share.enter()
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      let hungry = false
      const isAhead = pace.isAhead()
      const isAllowed = sender.isAllowed()
      let refused = 0
      while (!isAhead && hasRoom() && state !== 'cut' && refused < refusedOfTurn) {
        const line = splitter.next()
        hungry = line === null
        if (line === null) break
        if (isAllowed) {
          if (!submit(line)) refused += 1
        } else {
          // One line is told; the rest of the upload is nobody's.
          placeOf(line).result = problemLine(unauthorised, line.number)
          cut()
        }
      }
      if (group.failed.size > failedOperationsMax) cut()
      const isTurnOver = refused === refusedOfTurn
      if (isTurnOver) await turns.next()
      const settled = takeSettled()
      if (settled !== '') {
        waitingFor = 'reader'
        idle.refresh()
        yield settled
        idle.refresh()
        continue
      }
      if (isTurnOver) continue
      const inHand = places.length > first
      if (!inHand && (state === 'cut' || (state === 'ended' && hungry))) return
      waitingFor = hungry ? 'bytes' : 'commands'
      if (hungry && state === 'arriving') upload.resume()
      const pause = isAhead ? setTimeout(wake, pauseMs) : undefined
      await woken
      clearTimeout(pause)
    }
  } finally {
    clearTimeout(idle)
    share.leave()
    draining.removeEventListener('abort', cut)
    upload.off('data', onData).off('end', onEnd).off('error', cut).off('close', cut)
  }
}

function problemLine(problem: Problem, number: number): string {
  const { operation, command } = problem
  const members = {
    ...(operation === undefined ? {} : { operation }),
    ...(command === undefined ? {} : { command }),
    httpStatus: problemStatus(problem),
  }
  return `${JSON.stringify(members).slice(0, -1)},"problem":${problemText(problem, `${path}#${number}`)}}\n`
}
