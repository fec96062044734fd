import type { CommandBody } from '../../../src/operation/commands.ts'
import { isJsonObject, type Json, type JsonObject } from '../../../src/operation/json.ts'
import { definitionRequestHash, requestHash } from '../../../src/operation/requestHash.ts'
import { operationStream, pipelineStream } from '../../../src/operation/streamName.ts'
import { BrokenConnectionError, type HttpAnswer, WaybillHttp } from '../../nodes/support/waybillHttp.ts'
import { readFailure, seenOperation, writeAnswer } from './answers.ts'
import type {
  Call,
  Consistency,
  FeedCall,
  ListCall,
  NotTaken,
  ReadCall,
  Unknown,
  WriteAnswer,
  WriteCall,
} from './call.ts'
import { positionOfToken } from './recordedLog.ts'
import { monotonicUs, type Recorder } from './recorder.ts'

export interface OutgoingCommand {
  readonly operation: string
  readonly key: string
  readonly body: CommandBody
  readonly expectedRevision?: bigint
}

/** Bodies beyond this are not kept in the history: their digest is. */
const keptBodyLengthMax = 4_000
const listPageSize = 1_000
const unanswered: Unknown = { kind: 'unknown', settled: false }

/**
 * A client of the HTTP contract that writes down each of its calls. It repeats nothing by itself, and makes one call after
 * the other.
 */
export class RecordingClient {
  readonly #name: string
  readonly #recorder: Recorder
  readonly #nodes: readonly { readonly url: string; readonly http: WaybillHttp }[]
  #turn = 0
  /** The log's id, as tokens begin: learned from the first answer. */
  #log: string | null = null

  constructor(name: string, nodes: readonly string[], recorder: Recorder, first = 0) {
    this.#name = name
    this.#recorder = recorder
    this.#nodes = nodes.map((url) => ({ url, http: new WaybillHttp(url) }))
    this.#turn = first
  }

  /** From the next call on, another node is asked. */
  goToNextNode(): void {
    this.#turn += 1
  }

  /** As a request of its own, opening or reporting. */
  async send(command: OutgoingCommand): Promise<WriteAnswer> {
    const { operation, key, body, expectedRevision } = command
    const { type, ...fields } = body
    const path = type === 'OpenOperation' ? '/v1/operations' : `/v1/operations/${operation}/reports`
    const sent = type === 'OpenOperation' ? { id: operation, ...fields } : fields
    const headers = {
      'idempotency-key': key,
      ...(expectedRevision === undefined ? {} : { 'if-match': `"${expectedRevision}"` }),
    }
    const { http, ...timed } = this.#begin()
    const answer = await this.#answered(http.post(path, sent, headers))
    const said = 'kind' in answer ? answer : writeAnswer(answer.status, jsonOf(answer), jsonOf(answer))
    this.#record({ ...this.#written(command, type === 'OpenOperation' ? 'open' : 'report', timed), answer: said })
    return said
  }

  /** As lines of one bulk request. One answer a line; a line without a result got no answer. */
  async sendBulk(commands: readonly OutgoingCommand[]): Promise<readonly WriteAnswer[]> {
    const lines = commands.map(({ operation, key, body, expectedRevision }) => {
      const expected = expectedRevision === undefined ? {} : { expectedRevision: Number(expectedRevision) }
      return JSON.stringify({ command: key, operation, ...expected, ...body })
    })
    const { http, ...timed } = this.#begin()
    const sent = http.sendText('POST', '/v1/commands', `${lines.join('\n')}\n`, {
      'content-type': 'application/x-ndjson',
    })
    const { text, failure } = await sent.then(
      (answer) =>
        answer.status === 200 ? { text: answer.text, failure: unanswered } : { text: '', failure: bulkFailure(answer) },
      (error: unknown) => ({ text: received(error), failure: failureOf(error) }),
    )
    const results = text.split('\n').flatMap(parsedLine)
    return commands.map((command, index) => {
      const result = results[index]
      this.#learnLog(result?.position)
      const answer = result === undefined ? failure : lineAnswer(result)
      this.#record({ ...this.#written(command, 'line', timed), answer })
      return answer
    })
  }

  async define(name: string, key: string, definition: Json): Promise<WriteAnswer> {
    const { http, ...timed } = this.#begin()
    const answer = await this.#answered(http.put(`/v1/pipelines/${name}`, definition, { 'idempotency-key': key }))
    const said = 'kind' in answer ? answer : writeAnswer(answer.status, jsonOf(answer), jsonOf(answer))
    this.#record({
      kind: 'define',
      stream: pipelineStream(name),
      key,
      requestHash: definitionRequestHash(name, undefined, definition),
      body: { type: 'DefinePipeline', definition },
      ...this.#ended(timed),
      answer: said,
    })
    return said
  }

  async read(operation: string, consistency: Consistency = { kind: 'plain' }): Promise<ReadCall['answer']> {
    const { http, ...timed } = this.#begin()
    const found = await this.#answered(http.get(`/v1/operations/${operation}${this.#query(consistency)}`))
    const answer = 'kind' in found ? readInVain(found) : readAnswer(found)
    this.#record({ kind: 'read', operation, consistency, ...this.#ended(timed), answer })
    return answer
  }

  /** All operations whose id begins so, as far as one page holds them. */
  async list(idPrefix: string, consistency: Consistency = { kind: 'plain' }): Promise<ListCall['answer']> {
    const { http, ...timed } = this.#begin()
    const query = this.#query(consistency, { idPrefix, sort: 'id', pageSize: String(listPageSize) })
    const found = await this.#answered(http.get(`/v1/operations${query}`))
    const answer = 'kind' in found ? readInVain(found) : listAnswer(found)
    this.#record({ kind: 'list', idPrefix, consistency, ...this.#ended(timed), answer })
    return answer
  }

  /** The page of the log after a position. */
  async feed(after: bigint, pageSize: number): Promise<FeedCall['answer']> {
    const { http, ...timed } = this.#begin()
    const from: Record<string, string> = after === 0n || this.#log === null ? {} : { after: this.#token(after) }
    const query = new URLSearchParams({ ...from, pageSize: String(pageSize) })
    const found = await this.#answered(http.get(`/v1/events?${query.toString()}`))
    const answer = 'kind' in found ? readInVain(found) : feedAnswer(found)
    const known = 'after' in from ? after : 0n
    this.#record({ kind: 'feed', after: String(known), ...this.#ended(timed), answer })
    return answer
  }

  close(): void {
    for (const { http } of this.#nodes) http.close()
  }

  #begin() {
    const node = this.#nodes[this.#turn % this.#nodes.length]
    if (node === undefined) throw new Error('a client needs a node')
    return { http: node.http, node: node.url, startUs: monotonicUs() }
  }

  #ended(timed: { readonly node: string; readonly startUs: number }) {
    return { client: this.#name, ...timed, endUs: monotonicUs() }
  }

  #written(
    { operation, key, body, expectedRevision }: OutgoingCommand,
    kind: 'open' | 'report' | 'line',
    timed: { readonly node: string; readonly startUs: number },
  ): Omit<WriteCall, 'answer'> {
    return {
      kind,
      stream: operationStream(operation),
      key,
      requestHash: requestHash(operation, expectedRevision, body),
      ...(expectedRevision === undefined ? {} : { expectedRevision: String(expectedRevision) }),
      body: JSON.stringify(body).length > keptBodyLengthMax ? null : body,
      ...this.#ended(timed),
    }
  }

  #record(call: Call): void {
    this.#recorder.record(call)
  }

  #learnLog(token: unknown): void {
    if (typeof token === 'string') this.#log ??= token.slice(0, 22)
  }

  async #answered(call: Promise<HttpAnswer>): Promise<HttpAnswer | Unknown | NotTaken> {
    try {
      const answer = await call
      this.#learnLog(answer.headers['waybill-position'] ?? answer.body.position)
      return answer
    } catch (error) {
      return failureOf(error)
    }
  }

  #query({ kind, minPosition }: Consistency, parameters: Readonly<Record<string, string>> = {}): string {
    const query = new URLSearchParams(parameters)
    if (kind === 'strong') query.set('consistency', 'strong')
    if (minPosition !== undefined) query.set('minPosition', this.#token(BigInt(minPosition)))
    return query.size === 0 ? '' : `?${query.toString()}`
  }

  #token(position: bigint): string {
    if (this.#log === null) throw new Error('the client has not seen the log yet')
    return `${this.#log}${position.toString(36)}`
  }
}

/** A connection that could not be made carried nothing; of any other, nobody knows. */
function failureOf(error: unknown): Unknown | NotTaken {
  if (!(error instanceof BrokenConnectionError)) throw error
  return error.connection === 'refused' ? { kind: 'notTaken', code: 'refused connection' } : unanswered
}

/** A read that was not answered promises nothing. */
function readInVain(failure: Unknown | NotTaken): NotTaken {
  return failure.kind === 'notTaken' ? failure : { kind: 'notTaken', code: 'broken connection' }
}

function received(error: unknown): string {
  return error instanceof BrokenConnectionError ? error.received : ''
}

function bulkFailure(answer: HttpAnswer): WriteAnswer {
  const body = jsonOf(answer)
  return writeAnswer(answer.status, body, body)
}

function lineAnswer(line: JsonObject): WriteAnswer {
  const problem = isJsonObject(line.problem) ? line.problem : {}
  return writeAnswer(Number(line.httpStatus), line, problem)
}

/** Nothing for a line that was cut off. */
function parsedLine(line: string): readonly JsonObject[] {
  try {
    const parsed: unknown = JSON.parse(line)
    return isJsonObject(parsed) ? [parsed] : []
  } catch {
    return []
  }
}

function readAnswer(answer: HttpAnswer): ReadCall['answer'] {
  if (answer.status === 404) return { kind: 'absent' }
  return readFailure(answer) ?? { kind: 'found', foldedTo: foldedTo(answer), ...seenOperation(answer.body) }
}

function listAnswer(answer: HttpAnswer): ListCall['answer'] {
  const failure = readFailure(answer)
  if (failure !== null) return failure
  const { operations, nextPageToken } = jsonOf(answer)
  if (!Array.isArray(operations)) throw new Error('a list has operations')
  return {
    kind: 'listed',
    foldedTo: foldedTo(answer),
    operations: operations.map(seenOperation),
    complete: nextPageToken === '',
  }
}

function feedAnswer(answer: HttpAnswer): FeedCall['answer'] {
  const failure = readFailure(answer)
  if (failure !== null) return failure
  const { events, next } = jsonOf(answer)
  if (!Array.isArray(events) || typeof next !== 'string') throw new Error('a page has events')
  return {
    kind: 'events',
    next: String(positionOfToken(next)),
    events: events.map((event) => {
      const { position, metadata } = event as { position: string; metadata: { hash: string } }
      return { position: String(positionOfToken(position)), hash: metadata.hash }
    }),
  }
}

function foldedTo(answer: HttpAnswer): string {
  return String(positionOfToken(String(answer.headers['waybill-position'])))
}

function jsonOf({ body }: HttpAnswer): JsonObject {
  return body as JsonObject
}
