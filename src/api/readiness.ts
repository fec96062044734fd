import type { EventLog } from '../eventlog/eventLog.ts'
import type { SelfAuditStatus } from '../processes/selfAudit.ts'
import type { ProjectorStatus, ReadModel } from '../projections/readModel.ts'
import { CachedRead } from './cachedRead.ts'
import type { ApiContext } from './context.ts'

export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  /** Shown, and no reason to send requests elsewhere: every node reads the same tables. */
  readonly advisory?: true
  /** One sentence; names nothing internal. */
  readonly detail: string
}

const looks = {
  /** A store that has not answered by then is as good as gone to whoever asks for readiness. */
  answerMsMax: 2_000,
  /** Anybody may ask, as often as they like: a store is asked once a second at most, and by one look at a time. */
  freshMs: 1_000,
  nowMs: () => performance.now(),
}

export interface ReadinessContext extends Pick<ApiContext, 'selfAudit' | 'draining' | 'anotherHistory'> {
  readonly log: Pick<EventLog, 'head'>
  readonly readModel: Pick<ReadModel, 'checkpoint'>
  readonly projector: { status(): Pick<ProjectorStatus, 'phase' | 'paused'> }
}

/** The checks for which `/readyz` is 503; none when the node is ready. */
export function failingChecks(checks: readonly ReadinessCheck[]): readonly ReadinessCheck[] {
  return checks.filter(({ ok, advisory }) => !ok && advisory !== true)
}

/** What a node needs to serve; one for all who ask. Each look at a store is a constant statement, whatever is stored. */
export class Readiness {
  readonly #context: ReadinessContext
  readonly #log: CachedRead<bigint>
  readonly #readModel: CachedRead<bigint>

  constructor(context: ReadinessContext) {
    this.#context = context
    this.#log = new CachedRead(() => context.log.head(), looks)
    this.#readModel = new CachedRead(() => context.readModel.checkpoint(), looks)
  }

  async check(): Promise<readonly ReadinessCheck[]> {
    const [head, checkpoint] = await Promise.all([this.#log.get(), this.#readModel.get()])
    return checksOf(this.#context, head !== null, checkpoint !== null)
  }
}

function checksOf(context: ReadinessContext, logAnswers: boolean, readModelOk: boolean): readonly ReadinessCheck[] {
  const { projector, selfAudit, draining, anotherHistory } = context
  const isAnother = anotherHistory?.aborted === true
  const logOk = logAnswers && !isAnother
  const { phase, paused } = projector.status()
  const projects = phase === 'live' || phase === 'waiting' || phase === 'paused' || phase === 'rebuilding'
  return [
    {
      name: 'service',
      ok: !draining.aborted,
      detail: draining.aborted ? 'It is shutting down.' : 'It takes requests.',
    },
    {
      name: 'log',
      ok: logOk,
      detail: logOk ? 'It answers.' : isAnother ? replaced : 'It does not answer.',
    },
    { name: 'read model', ok: readModelOk, detail: readModelOk ? 'It answers.' : 'It does not answer.' },
    // Ready all the same: an operator wanted it so, and every node would be taken out at once.
    { name: 'projector', ok: projects, detail: projectorDetails[paused && projects ? 'paused' : phase] },
    ...(selfAudit === undefined ? [] : [auditCheck(selfAudit.status())]),
  ]
}

function auditCheck({ drifting, tampering, checked }: SelfAuditStatus): ReadinessCheck {
  const found = [
    tampering === 0 ? '' : `Streams of the log that were tampered with: ${tampering}. `,
    drifting === 0 ? '' : `Rows that differ from the log, of operations or counts: ${drifting}. `,
  ].join('')
  const detail =
    found === ''
      ? `None of ${checked.operation} operations looked at differs from the log.`
      : `${found}docs/self-audit.md says what to do.`
  return { name: 'self-audit', ok: found === '', advisory: true, detail }
}

const replaced =
  'The database holds another history than before: an operator decides whether to go on with it, by a restart.'

const projectorDetails = {
  starting: 'It is starting.',
  live: 'It follows the log.',
  waiting: 'Another node projects.',
  rebuilding: 'It folds the read model anew; reads show it as it was before.',
  paused: 'An operator has paused the projection: what is read is as of then.',
  retrying: 'It tries again after a failure.',
  log_behind: 'The log ends before what is folded already: it lost events, or is an older copy.',
  stopped: 'It has stopped.',
  newer_schema: 'The log holds events of a newer schema than this version knows: upgrade it.',
} as const
