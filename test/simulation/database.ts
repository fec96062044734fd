import type { Random } from '../../src/demo/random.ts'
import type { RowsFaults } from './plan.ts'
import { Actor, type Scheduler } from './scheduler.ts'
import { Tables } from './tables.ts'

/** The read model's server. */
export interface DatabaseServer {
  readonly actor: Actor
  readonly tables: Tables
  readonly latencyMs: number
  faults: RowsFaults
  /** Takes no connection until then. */
  downUntilMs: number
  readonly connections: Set<Connection>
}

export function createDatabaseServer(latencyMs: number, faults: RowsFaults): DatabaseServer {
  const actor = new Actor('database')
  return {
    actor,
    tables: new Tables(),
    latencyMs,
    faults,
    downUntilMs: 0,
    connections: new Set(),
  }
}

/** The longest the server takes to notice that a client is gone. */
const noticeMsMax = 500
/** The longest a statement may land after its connection was lost. */
const lateMsMax = 1_000

/**
 * A node's connection, a statement at a time, each a transaction of its own. When it is lost, nobody knows of the statement
 * under way, and its lock is free: perhaps before that statement is done, as after a fail-over. The epochs must do then.
 */
export class Connection {
  readonly #server: DatabaseServer
  readonly #node: Actor
  readonly #scheduler: Scheduler
  readonly #random: Random
  #lost: Error | null = null
  #turn: Promise<unknown> = Promise.resolve()
  readonly #breakUnderWay = new Set<(error: Error) => void>()

  private constructor(server: DatabaseServer, node: Actor, scheduler: Scheduler, random: Random) {
    this.#server = server
    this.#node = node
    this.#scheduler = scheduler
    this.#random = random
  }

  static async open(
    server: DatabaseServer,
    node: Actor,
    { scheduler, random }: { readonly scheduler: Scheduler; readonly random: Random },
  ): Promise<Connection> {
    await scheduler.pause(server.latencyMs)
    if (scheduler.nowMs < server.downUntilMs) throw new Error('the database takes no connections')
    const connection = new Connection(server, node, scheduler, random)
    server.connections.add(connection)
    return connection
  }

  get lost(): Error | null {
    return this.#lost
  }

  get node(): Actor {
    return this.#node
  }

  statement<T>(work: (tables: Tables) => T): Promise<T> {
    const done = this.#turn.then(() => this.#send(work))
    this.#turn = done.catch(() => undefined)
    return done
  }

  close(): void {
    this.break('the connection was closed')
  }

  /** All that waits for an answer gets none. */
  break(reason = 'the connection was lost'): void {
    if (this.#lost !== null) return
    this.#lost = new Error(reason)
    this.#server.connections.delete(this)
    const { tables, actor } = this.#server
    this.#scheduler.after(
      this.#random.next() * noticeMsMax,
      () => {
        if (tables.lock === this) tables.lock = null
      },
      actor,
    )
    const lost = this.#lost
    // In the node's own time: what is dead learns nothing any more.
    for (const fail of this.#breakUnderWay) this.#scheduler.after(0, () => fail(lost), this.#node)
  }

  #send<T>(work: (tables: Tables) => T): Promise<T> {
    if (this.#lost !== null) return Promise.reject(this.#lost)
    const { faults, actor, tables } = this.#server
    const breaks = this.#random.chance(faults.breaks)
    const landsLate = this.#random.chance(faults.landsLate)
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        this.#breakUnderWay.delete(fail)
        reject(error)
      }
      const back = (settle: () => void): void => {
        const answered = (): void => {
          if (this.#breakUnderWay.delete(fail)) settle()
        }
        this.#scheduler.after(this.#delayMs(), answered, this.#node)
      }
      const perform = (): void => {
        try {
          const value = work(tables)
          back(() => resolve(value))
        } catch (error) {
          back(() => reject(error))
        }
      }
      this.#breakUnderWay.add(fail)
      const arrivesMs = this.#delayMs()
      if (landsLate) {
        this.#scheduler.after(arrivesMs, () => this.break())
        this.#scheduler.after(arrivesMs + this.#random.next() * lateMsMax, perform, actor)
      } else if (breaks) {
        const after = this.#random.chance(0.5)
        this.#scheduler.after(arrivesMs, () => (after ? perform() : undefined), actor)
        this.#scheduler.after(arrivesMs + 0.001, () => this.break())
      } else {
        this.#scheduler.after(arrivesMs, perform, actor)
      }
    })
  }

  #delayMs(): number {
    const { faults, latencyMs } = this.#server
    return this.#random.exponential(latencyMs) + (this.#random.chance(faults.slow) ? this.#random.next() * 300 : 0)
  }
}
