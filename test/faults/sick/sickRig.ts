import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { createRandom } from '../../../src/demo/random.ts'
import type { BuiltService } from '../../nodes/support/builtService.ts'
import type { Verdict } from '../history/checkHistory.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { caughtUp, judge } from '../support/judge.ts'
import { mountTmpfs, unmount } from '../support/mounts.ts'
import { run } from '../support/run.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { SupervisedPostgres } from '../support/supervisedPostgres.ts'
import { FaultyWay } from './faultyWay.ts'
import type { NodeClock } from './nodeClock.ts'
import { SteadyReader } from './reader.ts'

const mebibyte = 1_048_576
/** Small enough to be filled at once; large enough for what a run writes. */
const storeBytes = 1_024 * mebibyte
/** Little WAL in reserve: a full disk is to be felt. Few connections: they are to be taken. */
const settings = { min_wal_size: '32MB', max_wal_size: '128MB', shared_buffers: '64MB', max_connections: '30' }
const startTimeoutMs = 60_000
const patienceMs = 60_000

/** One node, its PostgreSQL on a small file system in memory, a way between them, and clients at work. */
export class SickRig {
  readonly mountPoint: string
  readonly server: SupervisedPostgres
  readonly way: FaultyWay
  readonly node: SupervisedNode
  readonly load: ClientLoad
  /** Null: that of the machine. */
  readonly clock: NodeClock | null
  readonly #reader: SteadyReader

  /** `template`: a cluster of prepareServer's, to be copied. */
  static async start(
    service: BuiltService,
    template: string,
    folder: string,
    seed: number,
    clock: NodeClock | null = null,
  ): Promise<SickRig> {
    await mkdir(folder, { mode: 0o711 })
    const mountPoint = join(folder, 'store')
    await mountTmpfs(mountPoint, storeBytes)
    const logFile = join(folder, 'postgres.log')
    await run('cp', ['--archive', template, join(mountPoint, 'data')])
    const server = await SupervisedPostgres.start(join(mountPoint, 'data'), { settings, logFile })
    const way = await FaultyWay.to(server.connectionString)
    const node = await SupervisedNode.start(service, 'node', {
      ...clock?.environment,
      DATABASE_URL: way.connectionString,
    })
    await node.ready(startTimeoutMs)
    const random = createRandom(seed).fork('sick')
    const load = await ClientLoad.start({ urls: [node.url], random })
    const reader = new SteadyReader(node.url, load, random.fork('reader'))
    return new SickRig(mountPoint, server, way, node, load, reader, clock)
  }

  private constructor(
    mountPoint: string,
    server: SupervisedPostgres,
    way: FaultyWay,
    node: SupervisedNode,
    load: ClientLoad,
    reader: SteadyReader,
    clock: NodeClock | null,
  ) {
    this.mountPoint = mountPoint
    this.server = server
    this.way = way
    this.node = node
    this.load = load
    this.#reader = reader
    this.clock = clock
  }

  /** A session that does not go by the way. */
  async connect(database?: string): Promise<pg.Client> {
    const url = new URL(this.server.connectionString)
    if (database !== undefined) url.pathname = `/${database}`
    const client = new pg.Client({ connectionString: url.toString(), application_name: 'sick stores' })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  /** Ends the load, and holds what the clients were told against what is left. */
  async finish(): Promise<Verdict> {
    await this.#reader.stop()
    await this.load.finish()
    await caughtUp(this.node.url, patienceMs)
    await this.node.stop()
    await this.way.close()
    const verdict = await judge(this.server.connectionString, this.load.calls)
    await this.server.stop()
    await unmount(this.mountPoint)
    return verdict
  }
}
