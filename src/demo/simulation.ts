import { setTimeout as delay } from 'node:timers/promises'
import type { SampleDocument } from './documents.ts'
import { type OperationRecord, openRecord, type SentCommand } from './ledger.ts'
import type { Policy } from './pipeline.ts'
import { planOperation, type Role, roles } from './plan.ts'
import type { Random } from './random.ts'
import type { ServiceAddress } from './serviceAddress.ts'
import { createSimulatedService, type SimulatedService } from './simulatedService.ts'
import type { Tally } from './tally.ts'

/** How many commands a service works on at once, and how long it takes for each: some are slow enough to fall behind. */
const paces: Readonly<Record<Role, { readonly workers: number; readonly thinkMs: number }>> = {
  gateway: { workers: 12, thinkMs: 1 },
  classifier: { workers: 8, thinkMs: 4 },
  validator: { workers: 10, thinkMs: 3 },
  'scan-intake': { workers: 6, thinkMs: 2 },
  enricher: { workers: 16, thinkMs: 15 },
  scanner: { workers: 24, thinkMs: 25 },
  indexer: { workers: 16, thinkMs: 6 },
  publisher: { workers: 10, thinkMs: 4 },
  notifier: { workers: 6, thinkMs: 2 },
  archivist: { workers: 12, thinkMs: 8 },
}

export interface SimulationOptions {
  readonly waybill: ServiceAddress
  readonly documents: readonly [SampleDocument, ...SampleDocument[]]
  readonly operations: number
  /** Clients that share the ten roles. */
  readonly services: number
  /** Operations under way at once. */
  readonly window: number
  readonly idPrefix: string
  readonly pipelineOf: Readonly<Record<Policy, string>>
  readonly random: Random
  readonly tally: Tally
}

export interface Simulation {
  readonly records: readonly OperationRecord[]
  /** Operations that are open, for those who read while it runs. */
  readonly opened: readonly OperationRecord[]
  readonly commands: number
  /** Settles when every command has its definite answer; rejects when a service gave up. */
  run(): Promise<void>
  close(): void
}

export function createSimulation(options: SimulationOptions): Simulation {
  const { random, documents, tally } = options
  const services = createServices(options)
  const records = Array.from({ length: options.operations }, (_, index) => {
    const policy: Policy = index % 2 === 0 ? 'advance' : 'hold'
    const document = documents[index % documents.length] ?? documents[0]
    const plan = { index, id: `${options.idPrefix}${index}`, document, policy, pipeline: options.pipelineOf[policy] }
    return openRecord(planOperation(plan, random.fork(`operation ${index}`)))
  })
  const opened: OperationRecord[] = []

  const perform = (record: OperationRecord, sent: SentCommand): Promise<void> => {
    const candidates = services.get(sent.command.service) ?? []
    const service = candidates[sent.command.key.length % candidates.length] ?? candidates[0]
    if (service === undefined) throw new Error(`nobody plays ${sent.command.service}`)
    return service.perform(record, sent)
  }
  const later = async (record: OperationRecord, sent: SentCommand): Promise<void> => {
    await delay(sent.command.dueMs)
    await perform(record, sent)
  }
  const push = async (record: OperationRecord): Promise<void> => {
    const racing = record.sent.filter((sent) => sent.command.dueMs === 0)
    const rest = record.sent.filter((sent) => sent.command.dueMs > 0)
    await Promise.all(racing.map((sent) => perform(record, sent)))
    opened.push(record)
    await Promise.all(rest.map((sent) => later(record, sent)))
    tally.operationsDone += 1
  }

  return {
    records,
    opened,
    commands: records.reduce((sum, record) => sum + record.sent.length, 0),
    run: async () => {
      let next = 0
      const lane = async (): Promise<void> => {
        for (let record = records[next++]; record !== undefined; record = records[next++]) await push(record)
      }
      await Promise.all(Array.from({ length: options.window }, lane))
    },
    close: () => {
      for (const played of services.values()) for (const service of played) service.close()
    },
  }
}

function createServices(options: SimulationOptions): ReadonlyMap<Role, readonly SimulatedService[]> {
  const services = new Map<Role, SimulatedService[]>()
  for (let index = 0; index < options.services; index += 1) {
    const role = roles[index % roles.length] ?? 'gateway'
    const service = createSimulatedService({
      waybill: options.waybill,
      role,
      ...paces[role],
      random: options.random.fork(`service ${index}`),
      tally: options.tally,
    })
    services.set(role, [...(services.get(role) ?? []), service])
  }
  return services
}
