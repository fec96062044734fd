import type { OpenOperation, Report } from '../client/client.ts'
import type { SampleDocument } from './documents.ts'
import { classification, people, scanResult, searchTerms, validation } from './enrichments.ts'
import type { JsonObject } from './json.ts'
import { type ExpectedEnd, expectedEnds, type Fate, type Policy } from './pipeline.ts'
import type { Random } from './random.ts'

/** The ten services, in the order in which a document meets them. */
export const roles = [
  'gateway',
  'classifier',
  'validator',
  'scan-intake',
  'enricher',
  'scanner',
  'indexer',
  'publisher',
  'notifier',
  'archivist',
] as const

export type Role = (typeof roles)[number]

/** What goes wrong on the way of one command, on purpose. */
export type Mishap =
  | 'none'
  /** Sent twice at the same time under the same key. */
  | 'twin'
  /** Sent again under the same key, well after its answer. */
  | 'repeat'
  /** The client hangs up before the answer, does not know the outcome, and sends again under the same key. */
  | 'hang-up'
  /** Another body is sent under the same key after the answer: it must be refused. */
  | 'key-reuse'

interface Planned {
  readonly key: string
  readonly service: Role
  /** Milliseconds from the operation's admission to the sending. */
  readonly dueMs: number
  readonly mishap: Mishap
  /** True when the rules may refuse it (409), as they do a report that contradicts where the track went. */
  readonly mayBeRefused: boolean
}

export type PlannedCommand = Planned &
  ({ readonly kind: 'open'; readonly body: OpenOperation } | { readonly kind: 'report'; readonly body: Report })

export interface OperationPlan {
  readonly id: string
  readonly pipeline: string
  readonly policy: Policy
  readonly fate: Fate
  readonly expected: ExpectedEnd
  /** Ordered by `dueMs`. The first opens the operation; the others are sent once it is open, unless they can open it. */
  readonly commands: readonly PlannedCommand[]
  /** True when several commands can open it and race to do so. */
  readonly raced: boolean
}

export interface PlanOptions {
  readonly index: number
  readonly id: string
  readonly document: SampleDocument
  readonly policy: Policy
  readonly pipeline: string
}

interface Step {
  readonly role: Role
  readonly atMs: number
  readonly report: Omit<Report, 'service'>
  readonly mayBeRefused?: boolean
}

/** Share of commands that are delivered late enough to be overtaken by those after them. */
const lateShare = 0.12
const lateMeanMs = 500
const earlyShare = 0.06

export function planOperation(options: PlanOptions, random: Random): OperationPlan {
  const { id, pipeline, policy, document } = options
  const draw = random.next()
  const fate: Fate = draw < 0.05 ? 'rejected' : draw < 0.1 ? 'quarantined' : 'archived'
  const opening = random.next()
  // Most documents are opened by the gateway; some by its first report; for a few, two services' reports race to open.
  const opensBy = opening < 0.75 ? 'open' : opening < 0.92 ? 'report' : 'race'
  const steps = [...stepsOf(fate, document), ...strays(fate, document, random)]
  let serial = 0
  const nextKey = (role: Role): string => {
    serial += 1
    return `${role}/${options.index}/${serial}`
  }

  const data = { event: document.event, document: document.payload }
  const first: PlannedCommand = {
    ...(opensBy === 'open'
      ? { kind: 'open', body: { id, pipeline, theme: document.event, data } }
      : { kind: 'report', body: { pipeline, service: 'gateway', status: 'received', data } }),
    key: nextKey('gateway'),
    service: 'gateway',
    dueMs: 0,
    mishap: mishap(random),
    mayBeRefused: false,
  }
  const describing =
    opensBy === 'open'
      ? []
      : descriptions(random).map(
          ({ atMs, mayBeRefused }): PlannedCommand => ({
            kind: 'open',
            key: nextKey('gateway'),
            service: 'gateway',
            body: { id, pipeline, theme: document.event, data, metadata: { described: atMs } },
            dueMs: due(atMs, random),
            mishap: mishap(random),
            mayBeRefused,
          }),
        )
  const others = steps.map((step): PlannedCommand => {
    const races = opensBy === 'race' && step.role === 'validator'
    return {
      kind: 'report',
      key: nextKey(step.role),
      service: step.role,
      body: races ? { service: step.role, ...step.report, pipeline } : { service: step.role, ...step.report },
      dueMs: races ? 0 : due(step.atMs, random),
      mishap: mishap(random),
      mayBeRefused: step.mayBeRefused ?? false,
    }
  })
  return {
    id,
    pipeline,
    policy,
    fate,
    expected: expectedEnds[fate],
    commands: [first, ...[...describing, ...others].sort((left, right) => left.dueMs - right.dueMs)],
    raced: opensBy === 'race',
  }
}

/** What a report has opened is described by an open that comes later, once: of two the service refuses the second. */
function descriptions(random: Random): readonly { readonly atMs: number; readonly mayBeRefused: boolean }[] {
  const draw = random.next()
  if (draw < 0.4) return []
  if (draw < 0.8) return [{ atMs: 100, mayBeRefused: false }]
  return [
    { atMs: 100, mayBeRefused: true },
    { atMs: 300, mayBeRefused: true },
  ]
}

function due(atMs: number, random: Random): number {
  if (random.chance(lateShare)) return atMs + 200 + random.exponential(lateMeanMs)
  if (random.chance(earlyShare)) return Math.max(1, atMs - random.integer(100, 400))
  return atMs * (0.7 + 0.6 * random.next())
}

function mishap(random: Random): Mishap {
  const draw = random.next()
  if (draw < 0.04) return 'twin'
  if (draw < 0.08) return 'repeat'
  if (draw < 0.11) return 'hang-up'
  if (draw < 0.12) return 'key-reuse'
  return 'none'
}

/** What the services report of a document that fares as `fate` says, in the order of the pipeline. */
function stepsOf(fate: Fate, document: SampleDocument): readonly Step[] {
  const classified: Step = {
    role: 'classifier',
    atMs: 30,
    report: { status: 'received', data: classification(document) },
  }
  if (fate === 'rejected') {
    return [classified, { role: 'validator', atMs: 60, report: mainReport('rejected', validation(document)) }]
  }
  const verdict = fate === 'archived' ? 'clean' : 'infected'
  const shared: readonly Step[] = [
    classified,
    { role: 'validator', atMs: 60, report: mainReport('validated', validation(document)) },
    {
      role: 'scan-intake',
      atMs: 120,
      report: { track: 'scan', status: 'scanning', data: { scan: { verdict: 'pending', queue: document.bytes % 4 } } },
    },
    { role: 'enricher', atMs: 180, report: mainReport('enriched', people(document)) },
    {
      role: 'scanner',
      atMs: 240,
      report: {
        track: 'scan',
        status: verdict,
        sequence: 7,
        observedAt: '2026-01-01T00:00:00.240Z',
        data: scanResult(document, verdict),
      },
    },
    {
      role: 'indexer',
      atMs: 280,
      report: { track: 'index', status: 'indexing', sequence: 1, data: searchTerms(document, 'first') },
    },
    {
      role: 'indexer',
      atMs: 360,
      report: { track: 'index', status: 'indexed', sequence: 2, data: searchTerms(document, 'all') },
    },
  ]
  if (fate === 'quarantined') {
    return [...shared, { role: 'publisher', atMs: 420, report: mainReport('quarantined', { quarantine: 'vault' }) }]
  }
  return [
    ...shared,
    { role: 'publisher', atMs: 420, report: mainReport('published', { feed: { channel: document.event } }) },
    { role: 'notifier', atMs: 480, report: { status: 'published', metadata: { notified: document.event } } },
    // `scratch: null` deletes what the enricher left for the services between: a merge patch does both.
    { role: 'archivist', atMs: 560, report: mainReport('archived', { scratch: null, archive: { shelf: 'cold' } }) },
  ]
}

/** Reports that should never have been sent: stale ones of an old sequence, second opinions, contradictions. */
function strays(fate: Fate, document: SampleDocument, random: Random): readonly Step[] {
  const found: Step[] = []
  if (fate === 'rejected') {
    if (random.chance(0.5)) {
      found.push({ role: 'notifier', atMs: 150, report: { status: 'published' }, mayBeRefused: true })
    }
    return found
  }
  if (random.chance(0.06)) {
    found.push({
      role: 'scanner',
      atMs: 500,
      report: { track: 'scan', status: 'scanning', sequence: 3, data: scanResult(document, 'pending') },
    })
  }
  if (random.chance(0.06)) {
    found.push({
      role: 'indexer',
      atMs: 520,
      report: { track: 'index', status: 'indexing', sequence: 1, data: { index: { all: [] } } },
    })
  }
  if (fate === 'archived' && random.chance(0.06)) {
    // Whichever of the two comes first ends the operation: the other one may overwrite nothing.
    const shelved = { scratch: null, archive: { shelf: 'warm', signed: true } }
    found.push({ role: 'archivist', atMs: 700, report: mainReport('archived', shelved) })
  }
  if (random.chance(0.05)) {
    found.push({ role: 'validator', atMs: 200, report: mainReport('validated', validation(document)) })
  }
  return found
}

/** Each main report writes where it stands to the same member: the last one to be applied must be the one that stays. */
function mainReport(status: string, data: JsonObject): Omit<Report, 'service'> {
  return { status, data: { ...data, progress: status } }
}
