import { createRandom } from '../../../src/demo/random.ts'
import type { EventLog } from '../../../src/eventlog/eventLog.ts'
import { SelfAudit, type SelfAuditSettings } from '../../../src/processes/selfAudit.ts'
import { createProjections, type Projections, type ProjectionsSettings } from '../../../src/projections/projections.ts'
import type { ReadModelDatabase } from '../../projections/support/readModelDatabase.ts'
import { patienceMs } from '../../support/patience.ts'

/** A line of the audit's log. */
export interface Line {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: {
    readonly operation?: string
    /** Of a stream that was tampered with. */
    readonly stream?: string
    readonly shape?: string
    readonly differences?: readonly { readonly field: string }[]
  }
}

export interface Auditing {
  readonly audit: SelfAudit
  readonly lines: readonly Line[]
  /** Takes samples one after the other. */
  readonly samples: (count: number) => Promise<void>
  /** Takes samples until `done`, at most 2,000 or as many as given. */
  until(done: () => boolean, samplesMax?: number): Promise<void>
  /** The fields that the operation was said to differ in; null when it was not. */
  fieldsOf(operation: string): readonly string[] | null
}

/** Waits for nothing and draws the same samples with the same seed. */
export function auditing(
  log: SelfAuditSettings['log'],
  { auditRows }: Projections,
  settings: Partial<SelfAuditSettings> & { readonly seed?: number } = {},
): Auditing {
  const lines: Line[] = []
  const seeded = createRandom(settings.seed ?? 1)
  const note = (level: Line['level']) => (fields: object, message: string) =>
    void lines.push({ level, message, fields })
  const audit = new SelfAudit({
    log,
    rows: auditRows,
    intervalMs: 1_000,
    random: () => seeded.next(),
    pause: async () => undefined,
    logger: { info: note('info'), warn: note('warn'), error: note('error') },
    ...settings,
  })
  return {
    audit,
    lines,
    async samples(count) {
      for (let taken = 0; taken < count; taken += 1) await audit.sample()
    },
    async until(done, samplesMax = 2_000) {
      for (let taken = 0; !done(); taken += 1) {
        if (taken === samplesMax) throw new Error(`sampled in vain: ${JSON.stringify(audit.status())}`)
        await audit.sample()
      }
    },
    fieldsOf(operation) {
      const line = lines.find(({ level, fields }) => level === 'error' && fields.operation === operation)
      return line?.fields.differences?.map(({ field }) => field) ?? null
    },
  }
}

/** The rooms on this database; started. */
export function project(
  { connectionString, role }: ReadModelDatabase,
  log: EventLog,
  settings: Partial<Pick<ProjectionsSettings, 'batchEventsMax' | 'confirmed'>> = {},
): Projections {
  const projections = createProjections({
    connectionString,
    role,
    log,
    windowMs: 1,
    takeOverIntervalMs: 20,
    ...settings,
  })
  projections.projector.start()
  return projections
}

export async function caughtUp({ readModel, projector }: Projections, position: bigint): Promise<void> {
  if (!(await readModel.waitFor(position, patienceMs))) throw new Error(JSON.stringify(projector.status().phase))
}
