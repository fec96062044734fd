import type { CommandResult } from '../../commands/commandService.ts'
import { failureProblem, type Problem } from '../problem.ts'
import type { Line } from './lineSplitter.ts'
import type { ResultForm } from './resultForm.ts'

type Failed = Extract<CommandResult, { kind: 'failed' }>

/** The line of a command that was accepted, as it is written; or what it was refused with. */
export type Result = string | Problem | Failed

/** A line's place in the answer; `result` is null until its command is settled. */
export interface Place {
  readonly line: number
  /** Of the line, and of its result once there is one. */
  readonly bytes: number
  readonly result: string | Failed | null
}

interface Held extends Place {
  bytes: number
  result: string | Failed | null
}

/** Results in the order of their lines, whichever is settled first. */
export class ResultQueue {
  readonly #form: ResultForm
  /** Operations of which a line that is answered already has an open outcome. */
  readonly #openOutcomes = new Set<string>()
  readonly #places: (Held | undefined)[] = []
  #first = 0
  #bytes = 0
  #lines = 0
  #refused = 0
  #lastLine = 0

  constructor(form: ResultForm) {
    this.#form = form
  }

  open(line: Line): Place {
    const place: Held = { line: line.number, bytes: 'text' in line ? line.text.length : 0, result: null }
    this.#places.push(place)
    this.#bytes += place.bytes
    this.#lines += 1
    this.#lastLine = line.number
    return place
  }

  /** A refusal is written at once, so that its size is known: one can be a thousand times as large as its line. */
  settle(place: Place, result: Result): void {
    const held: Held = place
    held.result = typeof result === 'string' || 'kind' in result ? result : this.#refusedText(result, place.line)
    const bytes = typeof held.result === 'string' ? held.result.length : 0
    held.bytes += bytes
    this.#bytes += bytes
  }

  /** Lines whose results have not been taken. */
  get inHand(): number {
    return this.#places.length - this.#first
  }

  /** About, of those lines and of those of their results that are there. */
  get bytesInHand(): number {
    return this.#bytes
  }

  /** The number of the last line that was opened; 0 before the first. */
  get lastLine(): number {
    return this.#lastLine
  }

  isNext(place: Place): boolean {
    return this.#places[this.#first] === place
  }

  /** What ends the answer once all results are taken. */
  end(): string {
    return this.#form.end(this.#lines, this.#refused)
  }

  /** Takes the results that are settled, up to the first that is not: their text, and how many they are. */
  takeSettled(): { readonly text: string; readonly count: number } {
    const before = this.#first
    let text = ''
    for (let place = this.#places[this.#first]; place?.result != null; place = this.#places[this.#first]) {
      text +=
        typeof place.result === 'string'
          ? place.result
          : this.#refusedText(this.#failedProblem(place.result), place.line)
      this.#bytes -= place.bytes
      this.#places[this.#first] = undefined
      this.#first += 1
    }
    const count = this.#first - before
    // Dropped now and then, not one by one: shifting an array of thousands costs more than the commands.
    if (this.#first > 1_024 || this.#first === this.#places.length) {
      this.#places.splice(0, this.#first)
      this.#first = 0
    }
    return { text, count }
  }

  #refusedText(problem: Problem, line: number): string {
    this.#refused += 1
    return this.#form.refused(problem, line)
  }

  /** When one batch with several commands of an operation fails, only its first line is told of the failure itself. */
  #failedProblem({ operation, key, failure }: Failed): Problem {
    const later = this.#openOutcomes.has(operation) && failure.code !== 'outcome_unknown'
    this.#openOutcomes.add(operation)
    const told = later ? { ...failure, code: 'not_tried' as const } : failure
    return failureProblem(told, operation, key)
  }
}
