import type { Access } from '../access/access.ts'
import type { AuditTrail } from '../audit/auditTrail.ts'
import type { CommandService } from '../commands/commandService.ts'
import type { EventLog } from '../eventlog/eventLog.ts'
import type { SelfAudit } from '../processes/selfAudit.ts'
import type { ProjectionControl } from '../projections/control/control.ts'
import type { Projector, ReadModel } from '../projections/readModel.ts'
import type { KnownHead } from './knownHead.ts'
import type { ApiLimits } from './limits.ts'
import type { PositionTokens } from './positionToken.ts'
import type { ReadLimiter } from './readLimiter.ts'
import type { Shares } from './shares.ts'
import type { UnreadAnswers } from './unreadAnswers.ts'

/** What reads of operations work with. */
export type ReadContext = Pick<ApiContext, 'log' | 'commands' | 'readModel' | 'tokens' | 'limits' | 'draining'> & {
  readonly access: Pick<Access, 'authenticate' | 'closed'>
  readonly projector: Pick<Projector, 'folded'>
}

/** What every route works with. */
export interface ApiContext {
  readonly access: Access
  /** What operators did. */
  readonly trail: Pick<AuditTrail, 'record'>
  readonly log: EventLog
  /** For what continues without the log. */
  readonly knownHead: KnownHead
  readonly commands: CommandService
  readonly readModel: ReadModel
  readonly projector: Pick<Projector, 'folded' | 'lagMs' | 'status'>
  /** Absent when there is none. */
  readonly selfAudit?: Pick<SelfAudit, 'status'>
  readonly control: ProjectionControl
  readonly tokens: PositionTokens
  readonly limits: ApiLimits
  readonly answers: UnreadAnswers
  /** Lists and counts are read through it. */
  readonly reads: ReadLimiter
  readonly shares: Shares
  /** Aborted when the service begins to shut down: nothing may wait any longer. */
  readonly draining: AbortSignal
  /** Aborted when the database turned out to hold another history: nothing of it is shown. Default: it never does. */
  readonly anotherHistory?: AbortSignal
}
