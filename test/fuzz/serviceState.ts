import { operatorActed } from '../../src/audit/act.ts'
import { pipelineRegistered } from '../../src/commands/pipelineRegistry.ts'
import { auditStream, pipelinesStream } from '../../src/operation/streamName.ts'
import type { Answer } from './answers.ts'
import { BoundKeyWatch, boundKey, type LoggedEvent } from './boundKey.ts'
import { countOf } from './judge.ts'
import type { FuzzRequest, Values } from './wire.ts'

/** Keys by the name of their placeholder: the roles', and some that let nobody in. */
export type FuzzKeys = Readonly<
  Record<'service' | 'definer' | 'viewer' | 'auditor' | 'operator' | 'bound' | 'flipped' | 'revoked', string>
>

interface Reply {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly text: string
  readonly headers: Headers
}

/** Things nobody asks to be changed, and what they are called. */
const witnesses = [
  '/v1/operations/witness-1',
  '/v1/operations/witness-2',
  '/v1/operations/witness-1/events',
  '/v1/pipelines/witness',
  '/v1/operations?pipeline=witness',
] as const

const linear = { statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' }
const parallel = {
  tracks: {
    left: { initial: 'new', transitions: { new: ['left', 'done'], left: ['done'] }, final: { done: 'succeeded' } },
    right: {
      initial: 'new',
      transitions: { new: ['right'], right: ['done'] },
      final: { done: 'failed' },
      startsWhen: { track: 'left', in: ['left'] },
    },
  },
  outOfOrder: 'hold',
}
/** A loop that several services walk, beside it a track that may be skipped. */
const byTime = {
  tracks: {
    main: {
      initial: 'new',
      transitions: { new: ['status1'], status1: ['new', 'status2', 'left'], left: ['status2'], status2: ['done'] },
      final: { done: 'succeeded' },
      requires: { done: [{ track: 'right', in: ['done'], orSkipped: true }] },
    },
    right: {
      initial: 'new',
      transitions: { new: ['done'] },
      final: { done: 'succeeded' },
      startsWhen: { track: 'main', in: ['left'] },
    },
  },
  outOfOrder: 'hold',
  orderBy: 'observedAt',
}

/** What a service holds: what was asked for is there, and nothing else. */
export class ServiceState {
  readonly keys: FuzzKeys
  readonly #url: string
  /** `stream key`, of all that was answered as taken. */
  readonly #accepted = new Set<string>()
  readonly #witnessed = new Map<string, string>()
  readonly #boundKeyWatch = new BoundKeyWatch()
  /** Of this round's requests of whose fate nobody was told: targets and bodies. */
  #untold: string[] = []
  #position = ''
  #pageToken = ''
  events = 0

  private constructor(url: string, keys: FuzzKeys) {
    this.#url = url
    this.keys = keys
  }

  /** Fills an empty service. `operatorKey` null: it has no key yet, and lets everybody in. */
  static async prepare(port: number, operatorKey: string | null): Promise<ServiceState> {
    const url = `http://127.0.0.1:${port}`
    const make = async (
      name: string,
      roles: readonly string[],
      by: string | null,
      binding: object = {},
    ): Promise<string> => {
      const made = await send(url, 'POST', '/v1/keys', by, { name, roles, ...binding })
      if (made.status !== 201) throw new Error(`a key could not be made: ${made.text}`)
      return String(made.body.key)
    }
    const operator = operatorKey ?? (await make('own-operator', ['operator'], null))
    const service = await make('own-service', ['service'], operator)
    const revoked = await make('own-revoked', ['operator'], operator)
    await send(url, 'DELETE', '/v1/keys/own-revoked', operator)
    const state = new ServiceState(url, {
      operator,
      service,
      revoked,
      definer: await make('own-definer', ['definer'], operator),
      viewer: await make('own-viewer', ['viewer'], operator),
      auditor: await make('own-auditor', ['auditor'], operator),
      bound: await make(boundKey.name, boundKey.roles, operator, {
        services: boundKey.services,
        pipelines: boundKey.pipelines,
      }),
      flipped: `${service.slice(0, -1)}${service.endsWith('A') ? 'B' : 'A'}`,
    })
    await state.#fill()
    return state
  }

  async #fill(): Promise<void> {
    const { operator } = this.keys
    const must = async (method: string, path: string, body: unknown) => {
      const answer = await send(this.#url, method, path, operator, body)
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.text}`)
      return answer
    }
    await must('PUT', '/v1/pipelines/linear', linear)
    await must('PUT', '/v1/pipelines/parallel', parallel)
    await must('PUT', '/v1/pipelines/byTime', byTime)
    await must('PUT', '/v1/pipelines/witness', linear)
    await must('POST', '/v1/operations', { id: 'witness-1', pipeline: 'witness', data: { a: 1 } })
    await must('POST', '/v1/operations', { id: 'witness-2', pipeline: 'witness', theme: 'seen' })
    const last = await must('POST', '/v1/operations/witness-1/reports', { service: 's', status: 'status1' })
    this.#position = String(last.body.position)
    const page = await send(this.#url, 'GET', `/v1/operations?pageSize=1&minPosition=${this.#position}`, operator)
    this.#pageToken = String(page.body.nextPageToken)
    for (const path of witnesses) this.#witnessed.set(path, await this.#seen(path))
    this.#witnessed.set('keys', await this.#ownKeys())
  }

  /** What placeholders stand for. */
  values(epoch: number): Values {
    const log = this.#position.slice(0, 22)
    return {
      ...this.keys,
      epoch: String(epoch),
      position: this.#position,
      otherLog: `${log.startsWith('A') ? 'B' : 'A'}${this.#position.slice(1)}`,
      future: `${log}zzzzzzzz`,
      pageToken: this.#pageToken,
    }
  }

  /** What an answer says was taken. */
  learn(request: FuzzRequest, answer: Answer): void {
    if (answer.status >= 300 || answer.status < 200 || answer.body.length === 0) return
    const isLines = answer.headers['content-type']?.startsWith('application/x-ndjson') === true
    const text = answer.body.toString('utf8')
    for (const part of isLines ? text.split('\n') : [text]) {
      const taken = parsed(part)
      if (typeof taken?.command !== 'string' || taken.problem !== undefined) continue
      const { operation, name, projection, command } = taken
      const stream =
        typeof operation === 'string'
          ? `operation-${operation}`
          : typeof name === 'string'
            ? `pipeline-${name}`
            : `projection-${typeof projection === 'string' ? projection : ''}`
      this.#accepted.add(`${stream} ${command}`)
    }
    // What was accepted is not told where only failures are.
    const isWhole = answer.complete && countOf(text.trimEnd().split('\n').at(-1)) === null
    if (isLines && !isWhole) this.lose(request)
  }

  /** The request may have been taken or not: each of its lines. */
  lose(request: FuzzRequest): void {
    this.#untold.push(`${request.target} ${request.body ?? ''}`)
  }

  /** Sentences about what is not as it must be. */
  async check(): Promise<readonly string[]> {
    const { operator } = this.keys
    const wrong: string[] = []
    const answer = await fetch(`${this.#url}/v1/events?after=${this.#position}`, {
      headers: { accept: 'application/x-ndjson', authorization: `Bearer ${operator}` },
    })
    const lines = (await answer.text()).split('\n').filter((line) => line !== '')
    if (answer.status !== 200) return [`the log cannot be read: ${answer.status} ${lines.join(' ')}`]
    for (const line of lines) {
      const event = JSON.parse(line) as LoggedEvent & { position: string; metadata: { command: string } }
      this.#position = event.position
      this.events += 1
      const fault = this.#boundKeyWatch.faultOf(event)
      if (fault !== null) wrong.push(`${fault}: ${line.slice(0, 600)}`)
      if (this.#accepted.has(`${event.stream} ${event.metadata.command}`)) continue
      // What the operator among the senders did: an act is on record also where it came to nothing.
      if (event.stream === auditStream && event.type === operatorActed) continue
      // A name keeps its place also where its definition failed afterwards.
      if (event.stream === pipelinesStream && event.type === pipelineRegistered) continue
      if (this.#mayBeOf(event.stream)) continue
      wrong.push(`nobody was told of this event: ${line.slice(0, 600)}`)
    }
    this.#untold = []
    for (const [path, before] of this.#witnessed) {
      const now = path === 'keys' ? await this.#ownKeys() : await this.#seen(path)
      if (now !== before)
        wrong.push(`${path} is no longer as it was: ${now.slice(0, 600)}; it was ${before.slice(0, 600)}`)
    }
    return wrong
  }

  /** So that reads are served what was written. */
  async resume(): Promise<void> {
    await send(this.#url, 'POST', '/v1/projections/operations/resume', this.keys.operator, {})
  }

  /** Whether one of the requests without an answer speaks of it, or may have opened it under an id of the service's making. */
  #mayBeOf(stream: string): boolean {
    const name = stream.slice(stream.indexOf('-') + 1)
    const isMade = /^[0-9a-f]{8}-[0-9a-f]{4}-/.test(name)
    return this.#untold.some((text) => text.includes(name) || (isMade && text.includes('pipeline')))
  }

  async #seen(path: string): Promise<string> {
    const { status, text } = await send(this.#url, 'GET', path, this.keys.operator)
    return `${status} ${text}`
  }

  async #ownKeys(): Promise<string> {
    const names: string[] = []
    for (let token = ''; ; ) {
      const query = token === '' ? '' : `?pageToken=${token}`
      const { body } = await send(this.#url, 'GET', `/v1/keys${query}`, this.keys.operator)
      const keys = Array.isArray(body.keys) ? (body.keys as { name: string; roles: string[] }[]) : []
      for (const { name, roles } of keys) if (name.startsWith('own-')) names.push(`${name}: ${roles.join(' ')}`)
      token = typeof body.nextPageToken === 'string' ? body.nextPageToken : ''
      if (token === '') return names.join(', ')
    }
  }
}

async function send(url: string, method: string, path: string, key: string | null, body?: unknown): Promise<Reply> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, text, body: parsed(text) ?? {}, headers: answer.headers }
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : null
  } catch {
    return null
  }
}
