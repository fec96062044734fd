import type { EventLog } from '../eventlog/eventLog.ts'
import { streamSubject } from '../operation/streamName.ts'
import type { AuditRows } from '../projections/auditRows.ts'
import { unprintable } from '../projections/folding.ts'
import type { ProjectionLogger } from '../projections/readModel.ts'
import { pause } from '../runtime/wakeUp.ts'
import { type AuditSubject, audit, type Verdict } from './auditChecks.ts'

export interface SelfAuditSettings {
  readonly log: Pick<EventLog, 'readStream' | 'readAll' | 'positionsPerEvent'>
  readonly rows: AuditRows
  /** Mean time between two samples, in milliseconds, above 0; each wait is between half and one and a half of it. */
  readonly intervalMs: number
  readonly logger?: ProjectionLogger
  /** Uniform in [0, 1). Default: Math.random. One that is seeded draws the same samples again. */
  readonly random?: () => number
  /** Milliseconds from any fixed point. Default: those since the process began. */
  readonly now?: () => number
  /** Settles after so many milliseconds, or when the signal aborts. Default: by the machine's clock. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface SelfAuditStatus {
  /** By this process, since it started. */
  readonly checked: Readonly<Record<AuditSubject['of'], number>>
  /** Subjects found to differ and not known to before. */
  readonly drifted: Readonly<Record<AuditSubject['of'], number>>
  /** Streams of the log found to be tampered with and not known to before. */
  readonly tampered: number
  readonly skipped: Readonly<Record<SkipReason, number>>
  /** Subjects that differed when they were last looked at. They are looked at again until they do not. */
  readonly drifting: number
  /** The same of streams that were tampered with. Of both together, 1,000 at most. */
  readonly tampering: number
  /** Since the last sample that could be taken; before the first one since the start. */
  readonly secondsSinceCheck: number
}

/**
 * `unconfirmed`: a difference that was gone at a second or third look. `unavailable`: the log or the database did not
 * answer. The others: auditChecks.ts.
 */
export type SkipReason = Extract<Verdict, { kind: 'skipped' }>['reason'] | 'unconfirmed' | 'unavailable'

/** A difference is one only if two fresh looks show it again: tables may be swapped or emptied under the first. */
const confirmations = 2
const confirmationWaitMs = 1_000
/** One sample in so many is a count. */
const countShare = 0.05
const drawTriesMax = 8
const pageSize = 100
const knownMax = 1_000
/** Of one line in the log. */
const shownDifferencesMax = 20

/**
 * Draws an operation every now and then, folds its stream from the log and holds the fold against its row: the read model
 * must be a function of the log. Every node runs one of its own: that needs no agreement, each judges with its own code
 * and its own connections, and more nodes look at more.
 */
export class SelfAudit {
  readonly #settings: SelfAuditSettings
  readonly #random: () => number
  readonly #now: () => number
  readonly #pause: (ms: number, signal: AbortSignal) => Promise<void>
  #pageAfter = 0n
  readonly #stopping = new AbortController()
  readonly #checked = { operation: 0, count: 0 }
  readonly #drifted = { operation: 0, count: 0 }
  readonly #skipped = { too_long: 0, not_comparable: 0, unconfirmed: 0, unavailable: 0 }
  #tampered = 0
  /** What was wrong when it was last looked at, least recently looked at first. */
  readonly #known = new Map<string, Known>()
  #samples = 0
  #lastCheckAt: number
  #failing = false
  #running: Promise<void> | null = null

  constructor(settings: SelfAuditSettings) {
    this.#settings = settings
    this.#random = settings.random ?? Math.random
    this.#now = settings.now ?? (() => performance.now())
    this.#pause = settings.pause ?? pause
    this.#lastCheckAt = this.#now()
  }

  start(): void {
    this.#lastCheckAt = this.#now()
    this.#running ??= this.#run()
  }

  /** Ends a look under way at its next page; settles once it has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  status(): SelfAuditStatus {
    return {
      checked: { ...this.#checked },
      drifted: { ...this.#drifted },
      skipped: { ...this.#skipped },
      tampered: this.#tampered,
      drifting: this.#count((stream) => stream === null),
      tampering: this.#count((stream) => stream !== null),
      secondsSinceCheck: (this.#now() - this.#lastCheckAt) / 1_000,
    }
  }

  /** One sample. Never rejects. */
  async sample(): Promise<void> {
    try {
      const subject = await this.#draw()
      if (subject !== null) this.#settle(subject, await this.#judge(subject))
      this.#lastCheckAt = this.#now()
      this.#failing = false
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      this.#skipped.unavailable += 1
      // A line for the first failure of a row: whoever needs the stores says more.
      if (!this.#failing) this.#settings.logger?.warn({ err: error }, 'the self-audit could not take a sample')
      this.#failing = true
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    for (;;) {
      await this.#pause(this.#settings.intervalMs * (0.5 + this.#random()), signal)
      if (signal.aborted) return
      await this.sample()
    }
  }

  /** Null when there is nothing to look at. */
  async #draw(): Promise<AuditSubject | null> {
    this.#samples += 1
    // Every second sample, as long as there are any, so that new ones are found too.
    const [known] = this.#known.values()
    if (known !== undefined && this.#samples % 2 === 0) {
      this.#remember(known)
      return known.subject
    }
    if (this.#random() < countShare) {
      const shape = await this.#settings.rows.randomShape(this.#random)
      if (shape !== null) return { of: 'count', id: shape }
    }
    // From the rows, for one that no stream stands behind, and from the log, for a stream without a row.
    const id =
      this.#random() < 0.5
        ? ((await this.#settings.rows.randomOperation(this.#random)) ?? (await this.#drawFromLog()))
        : await this.#drawFromLog()
    return id === null ? null : { of: 'operation', id }
  }

  /** The operation of a random event among those folded: one with many events comes up more often. */
  async #drawFromLog(): Promise<string | null> {
    const checkpoint = await this.#settings.rows.checkpoint()
    if (checkpoint === null || checkpoint === 0n) return null
    if (this.#settings.log.positionsPerEvent !== undefined) return this.#drawFromPage(checkpoint)
    for (let tries = 0; tries < drawTriesMax; tries += 1) {
      const after = BigInt(Math.floor(this.#random() * Number(checkpoint)))
      const [event] = await this.#settings.log.readAll({ after, maxCount: 1 })
      const subject = event === undefined ? null : streamSubject(event.stream)
      if (subject?.kind === 'operation' && !unprintable.test(subject.name)) return subject.name
    }
    return null
  }

  /** Where only an event's own position may be named, the log is gone through page by page, again and again. */
  async #drawFromPage(checkpoint: bigint): Promise<string | null> {
    const page = await this.#settings.log.readAll({ after: this.#pageAfter, maxCount: pageSize })
    const last = page.at(-1)
    this.#pageAfter = last === undefined || last.position >= checkpoint ? 0n : last.position
    const names = page
      .filter(({ position }) => position <= checkpoint)
      .map(({ stream }) => streamSubject(stream))
      .flatMap((subject) => (subject?.kind === 'operation' && !unprintable.test(subject.name) ? [subject.name] : []))
    return names[Math.floor(this.#random() * names.length)] ?? null
  }

  async #judge(subject: AuditSubject): Promise<Verdict | 'unconfirmed'> {
    const { signal } = this.#stopping
    let verdict = await audit(this.#settings, subject, signal)
    if (this.#known.has(keyOf(subject))) return verdict
    for (let looks = 0; looks < confirmations && isWrong(verdict); looks += 1) {
      await this.#pause(confirmationWaitMs, signal)
      signal.throwIfAborted()
      verdict = await audit(this.#settings, subject, signal)
      if (!isWrong(verdict)) return 'unconfirmed'
    }
    return verdict
  }

  #settle(subject: AuditSubject, verdict: Verdict | 'unconfirmed'): void {
    if (verdict === 'unconfirmed') this.#skipped.unconfirmed += 1
    else if (verdict.kind === 'skipped') this.#skipped[verdict.reason] += 1
    else {
      this.#checked[subject.of] += 1
      if (isWrong(verdict)) this.#tell(subject, verdict)
      else this.#tellRight(subject)
    }
  }

  #tell(subject: AuditSubject, verdict: Wrong): void {
    const stream = verdict.kind === 'tampered' ? verdict.stream : null
    const known = this.#known.get(keyOf(subject))
    if (stream !== null && known?.stream !== stream && this.#count((other) => other === stream) > 0) {
      // A stream that others rest on, as a pipeline's: it is known by another operation of it, and told once.
      return
    }
    this.#remember({ subject, stream })
    if (known?.stream === stream) return
    const fields = { ...fieldsOf(subject), differences: verdict.differences.slice(0, shownDifferencesMax) }
    if (stream === null) {
      this.#drifted[subject.of] += 1
      this.#settings.logger?.error(fields, 'the read model is not what the log says')
    } else {
      this.#tampered += 1
      this.#settings.logger?.error({ stream, ...fields }, 'the log was tampered with')
    }
  }

  #tellRight(subject: AuditSubject): void {
    const known = this.#known.get(keyOf(subject))
    if (known === undefined) return
    this.#known.delete(keyOf(subject))
    const fields = fieldsOf(subject)
    if (known.stream === null) this.#settings.logger?.info(fields, 'the read model is what the log says again')
    else this.#settings.logger?.info({ stream: known.stream, ...fields }, 'the log is what was appended again')
  }

  /** As the one looked at last. */
  #remember(known: Known): void {
    const key = keyOf(known.subject)
    this.#known.delete(key)
    this.#known.set(key, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > knownMax && oldest !== undefined) this.#known.delete(oldest)
  }

  #count(isCounted: (stream: string | null) => boolean): number {
    let count = 0
    for (const { stream } of this.#known.values()) if (isCounted(stream)) count += 1
    return count
  }
}

interface Known {
  readonly subject: AuditSubject
  /** The stream that was tampered with; null: the rows drift. */
  readonly stream: string | null
}

type Wrong = Extract<Verdict, { kind: 'drift' | 'tampered' }>

function isWrong(verdict: Verdict): verdict is Wrong {
  return verdict.kind === 'drift' || verdict.kind === 'tampered'
}

function keyOf({ of, id }: AuditSubject): string {
  return `${of} ${id}`
}

/** For the log. */
function fieldsOf({ of, id }: AuditSubject): object {
  return of === 'operation' ? { operation: id } : { shape: String(id) }
}
