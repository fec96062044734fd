import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../../nodes/support/until.ts'

/** How the nodes of a cluster on this machine are started; the file that WAYBILL_EVENTSTORE_CLUSTER names. */
interface ClusterPlan {
  /** Names all nodes. */
  readonly connectionString: string
  readonly nodes: readonly {
    /** Where `/info` says what the node is. */
    readonly http: string
    /** In the foreground, on the data in `{data}`. */
    readonly command: readonly string[]
  }[]
}

interface Node {
  readonly http: string
  readonly start: () => ChildProcess
  process: ChildProcess
}

const startTimeoutMs = 240_000

/** A real cluster of EventStoreDB, empty at first. */
export class EventStoreCluster {
  readonly connectionString: string
  readonly #nodes: readonly Node[]

  static async start(folder: string): Promise<EventStoreCluster> {
    const file = process.env.WAYBILL_EVENTSTORE_CLUSTER
    if (file === undefined) throw new Error('WAYBILL_EVENTSTORE_CLUSTER names no file; docs/eventstoredb.md shows one')
    const plan = JSON.parse(readFileSync(file, 'utf8')) as ClusterPlan
    const cluster = new EventStoreCluster(plan, folder)
    await cluster.whole()
    return cluster
  }

  private constructor({ connectionString, nodes }: ClusterPlan, folder: string) {
    this.connectionString = connectionString
    this.#nodes = nodes.map(({ http, command }, index) => {
      const [file = '', ...words] = command.map((word) => word.replace('{data}', join(folder, `eventstore-${index}`)))
      // It takes each variable that begins with EVENTSTORE_ for an option.
      const { EVENTSTORE_URL: _, ...env } = process.env
      const start = () => spawn(file, words, { stdio: 'ignore', env })
      return { http, start, process: start() }
    })
    process.on('exit', () => this.stop())
  }

  /** Starts what has ended, until one leads and all others follow. */
  async whole(): Promise<void> {
    await until('the cluster is whole', startTimeoutMs, async () => {
      // One that must cut off what it alone had written ends by itself, to be started once more.
      this.#revive()
      const states = await Promise.all(this.#nodes.map(({ http }) => stateOf(http)))
      return states.every((state) => state === 'leader' || state === 'follower') && states.includes('leader')
    })
  }

  /** -9, and who it was. */
  async killLeader(): Promise<string> {
    for (const node of this.#nodes) {
      if ((await stateOf(node.http)) !== 'leader') continue
      node.process.kill('SIGKILL')
      return node.http
    }
    throw new Error('no node leads')
  }

  #revive(): void {
    for (const node of this.#nodes) {
      if (node.process.exitCode !== null || node.process.signalCode !== null) node.process = node.start()
    }
  }

  stop(): void {
    for (const { process: child } of this.#nodes) child.kill('SIGKILL')
  }
}

async function stateOf(http: string): Promise<string | null> {
  try {
    const answer = await fetch(`${http}/info`, { signal: AbortSignal.timeout(2_000) })
    const { state } = (await answer.json()) as { readonly state: string }
    return state
  } catch {
    return null
  }
}
