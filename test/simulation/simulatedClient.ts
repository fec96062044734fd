import { expectedProblem } from '../../src/api/problem.ts'
import type { CommandGroup, CommandResult } from '../../src/commands/commandService.ts'
import type { Command } from '../../src/operation/commands.ts'
import type { Json, JsonObject } from '../../src/operation/json.ts'
import { definitionRequestHash, requestHash } from '../../src/operation/requestHash.ts'
import { operationStream, pipelineStream } from '../../src/operation/streamName.ts'
import { readFailure, seenOperation } from '../faults/history/answers.ts'
import type {
  Call,
  Consistency,
  FeedCall,
  ListCall,
  NotTaken,
  ReadCall,
  Unexpected,
  WriteAnswer,
  WriteCall,
} from '../faults/history/call.ts'
import type { OutgoingCommand } from '../faults/history/recordingClient.ts'
import type { WorkloadClient } from '../faults/workload.ts'
import { type Exchanged, exchange, type Network } from './network.ts'
import type { Actor } from './scheduler.ts'
import type { SimulatedNode } from './simulatedNode.ts'

export interface ClientParts {
  readonly network: Network
  /** The node that has an address now: another one after a restart. */
  readonly nodeAt: (address: number) => SimulatedNode
  readonly addresses: number
  readonly calls: Call[]
  /** False where the store lets an unknown append land later. */
  readonly unknownIsSettled: boolean
}

const actor = 'anonymous'
const hashPattern = /"hash":"([^"]+)"\}$/

/** A client of the HTTP contract, without HTTP, that writes down each of its calls. */
export class SimulatedClient implements WorkloadClient {
  readonly #actor: Actor
  readonly #parts: ClientParts
  #address: number

  constructor(client: Actor, first: number, parts: ClientParts) {
    this.#actor = client
    this.#parts = parts
    this.#address = first
  }

  goToNextNode(): void {
    this.#address += 1
  }

  async send(command: OutgoingCommand): Promise<WriteAnswer> {
    const begun = this.#begin()
    const said = await this.#ask((node) => this.#submit(node, command))
    const answer = said.kind === 'answer' ? said.value : unanswered(said)
    this.#record({
      ...this.#written(command, command.body.type === 'OpenOperation' ? 'open' : 'report'),
      ...begun,
      ...this.#ended(),
      answer,
    })
    return answer
  }

  async sendBulk(commands: readonly OutgoingCommand[]): Promise<readonly WriteAnswer[]> {
    const begun = this.#begin()
    const group: CommandGroup = { failed: new Map() }
    const said = await this.#ask((node) => Promise.all(commands.map((command) => this.#submit(node, command, group))))
    const { random } = this.#parts.network
    // The answer may break off after any of its lines.
    const kept = random.chance(this.#parts.network.faults.answerLost)
      ? random.integer(0, commands.length)
      : commands.length
    return commands.map((command, index) => {
      const answer =
        said.kind === 'answer' ? ((index < kept ? said.value[index] : undefined) ?? open) : unanswered(said)
      this.#record({ ...this.#written(command, 'line'), ...begun, ...this.#ended(), answer })
      return answer
    })
  }

  async define(name: string, key: string, definition: Json): Promise<WriteAnswer> {
    const begun = this.#begin()
    const said = await this.#ask(async ({ commands }): Promise<WriteAnswer> => {
      const result = await commands.definePipeline({ name, key, definition, actor })
      if (result.kind === 'failed') return this.#failed(result.failure.code)
      if (result.kind === 'refused') return { kind: 'refused', code: result.refusal.code }
      if (result.kind === 'invalid') return { kind: 'refused', code: 'invalid' }
      const { pipeline, revision, position } = result.record
      const created = result.kind === 'defined' && pipeline.version === 1
      return { kind: 'accepted', outcome: result.kind, created, revision: String(revision), position: String(position) }
    })
    const answer = said.kind === 'answer' ? said.value : unanswered(said)
    this.#record({
      kind: 'define',
      stream: pipelineStream(name),
      key,
      requestHash: definitionRequestHash(name, undefined, definition),
      body: { type: 'DefinePipeline', definition },
      ...begun,
      ...this.#ended(),
      answer,
    })
    return answer
  }

  async read(operation: string, consistency: Consistency = { kind: 'plain' }): Promise<ReadCall['answer']> {
    const begun = this.#begin()
    const said = await this.#ask((node) =>
      reading(async (): Promise<ReadCall['answer']> => {
        const found = await node.findOperation(operation, questionOf(node, consistency))
        return { kind: 'found', foldedTo: String(found.position), ...seenOperation(JSON.parse(found.text)) }
      }),
    )
    const answer = said.kind === 'answer' ? said.value : readInVain(said)
    this.#record({ kind: 'read', operation, consistency, ...begun, ...this.#ended(), answer })
    return answer
  }

  async list(idPrefix: string, consistency: Consistency = { kind: 'plain' }): Promise<ListCall['answer']> {
    const begun = this.#begin()
    const said = await this.#ask((node) =>
      reading(async (): Promise<ListCall['answer']> => {
        const page = await node.list(idPrefix, questionOf(node, consistency))
        const { operations, nextPageToken } = JSON.parse(page.text) as { operations: unknown[]; nextPageToken: string }
        const complete = nextPageToken === ''
        return { kind: 'listed', foldedTo: String(page.position), operations: operations.map(seenOperation), complete }
      }),
    )
    const found = said.kind === 'answer' ? said.value : readInVain(said)
    const answer: ListCall['answer'] = found.kind === 'absent' ? { kind: 'unexpected', status: 404, text: '' } : found
    this.#record({ kind: 'list', idPrefix, consistency, ...begun, ...this.#ended(), answer })
    return answer
  }

  async feed(after: bigint, pageSize: number): Promise<FeedCall['answer']> {
    const begun = this.#begin()
    const said = await this.#ask(({ log }) =>
      reading(async (): Promise<FeedCall['answer']> => {
        const events = await log.readAll({ after, maxCount: pageSize })
        return {
          kind: 'events',
          next: String(events.at(-1)?.position ?? after),
          events: events.map(({ position, metadata }) => ({
            position: String(position),
            hash: hashPattern.exec(metadata)?.[1] ?? '',
          })),
        }
      }),
    )
    const found = said.kind === 'answer' ? said.value : readInVain(said)
    const answer: FeedCall['answer'] = found.kind === 'absent' ? { kind: 'unexpected', status: 404, text: '' } : found
    this.#record({ kind: 'feed', after: String(after), ...begun, ...this.#ended(), answer })
    return answer
  }

  #ask<T>(handle: (node: SimulatedNode) => Promise<T>): Promise<Exchanged<T>> {
    const { network, nodeAt, addresses } = this.#parts
    return exchange(network, this.#actor, nodeAt(this.#address % addresses), handle)
  }

  async #submit(node: SimulatedNode, command: OutgoingCommand, group?: CommandGroup): Promise<WriteAnswer> {
    try {
      return writeAnswer(await node.commands.submit(commandOf(command), group), this.#parts.unknownIsSettled)
    } catch (bug) {
      return { kind: 'unexpected', status: 500, text: textOf(bug) }
    }
  }

  #failed(code: string): WriteAnswer {
    return failed(code, this.#parts.unknownIsSettled)
  }

  #begin() {
    const { network, addresses } = this.#parts
    return { client: this.#actor.name, node: `n${this.#address % addresses}`, startUs: network.scheduler.stampUs() }
  }

  #ended(): { readonly endUs: number } {
    return { endUs: this.#parts.network.scheduler.stampUs() }
  }

  #written({ operation, key, body, expectedRevision }: OutgoingCommand, kind: 'open' | 'report' | 'line') {
    return {
      kind,
      stream: operationStream(operation),
      key,
      requestHash: requestHash(operation, expectedRevision, body),
      body,
      ...(expectedRevision === undefined ? {} : { expectedRevision: String(expectedRevision) }),
    } satisfies Partial<WriteCall>
  }

  #record(call: Call): void {
    this.#parts.calls.push(call)
  }
}

const open: WriteAnswer = { kind: 'unknown', settled: false }

export function commandOf({ operation, key, body, expectedRevision }: OutgoingCommand): Command {
  const hash = requestHash(operation, expectedRevision, body)
  return {
    operation,
    key,
    requestHash: hash,
    actor,
    body,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
  }
}

export function writeAnswer(result: CommandResult, unknownIsSettled: boolean): WriteAnswer {
  if (result.kind === 'failed') return failed(result.failure.code, unknownIsSettled)
  if (result.kind === 'refused') {
    const { code, revision } = result.refusal
    return { kind: 'refused', code, ...(revision === undefined ? {} : { revision: String(revision) }) }
  }
  const { outcome, reason, opened, revision, position } = result
  return {
    kind: 'accepted',
    outcome,
    ...(reason === undefined ? {} : { reason }),
    created: opened,
    revision: String(revision),
    position: String(position),
  }
}

function failed(code: string, unknownIsSettled: boolean): WriteAnswer {
  if (code === 'outcome_unknown') return { kind: 'unknown', settled: unknownIsSettled }
  if (code === 'unreadable') return { kind: 'unexpected', status: 500, text: code }
  return { kind: 'notTaken', code }
}

type Unanswered = Exclude<Exchanged<unknown>, { kind: 'answer' }>

function unanswered({ kind }: Unanswered): WriteAnswer {
  return kind === 'refused' ? { kind: 'notTaken', code: 'refused connection' } : open
}

function readInVain({ kind }: Unanswered): NotTaken {
  return { kind: 'notTaken', code: kind }
}

function questionOf(node: SimulatedNode, { kind, minPosition }: Consistency) {
  return {
    ...(kind === 'strong' ? { consistency: 'strong' as const } : {}),
    ...(minPosition === undefined ? {} : { minPosition: node.token(BigInt(minPosition)) }),
  }
}

/** What a read that fails is answered by the API. */
async function reading<T>(read: () => Promise<T>): Promise<T | { readonly kind: 'absent' } | NotTaken | Unexpected> {
  try {
    return await read()
  } catch (error) {
    const problem = expectedProblem(error)
    if (problem === null) return { kind: 'unexpected', status: 500, text: textOf(error) }
    if (problem.code === 'not_found') return { kind: 'absent' }
    const body: JsonObject = { code: problem.code }
    const answer = { status: 503, headers: {}, body, text: problem.detail }
    return readFailure(answer) ?? { kind: 'unexpected', status: 500, text: problem.detail }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
