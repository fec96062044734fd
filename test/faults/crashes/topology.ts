import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../../src/postgres/embedded.ts'
import type { BuiltService } from '../../nodes/support/builtService.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { SupervisedPostgres } from '../support/supervisedPostgres.ts'

/** Running nodes and their one PostgreSQL, each started again when it ends. */
export interface Topology {
  readonly title: string
  readonly nodes: readonly SupervisedNode[]
  /** Where the cluster's `postmaster.pid` is. */
  readonly clusterDirectory: string
  /** What PostgreSQL has written. */
  readonly serverLog: string
  /** Stops the nodes in order; then does what is to be done with the database, and stops that as well. */
  finish<T>(work: (connectionString: string) => Promise<T>): Promise<T>
}

const startTimeoutMs = 60_000

/** As `npm start` runs it: the node brings its PostgreSQL along. */
export async function oneNode(service: BuiltService, folder: string): Promise<Topology> {
  const dataDir = join(folder, 'data')
  const node = await SupervisedNode.start(service, 'node', { WAYBILL_DATA_DIR: dataDir })
  await node.ready(startTimeoutMs)
  return {
    title: '1 node, its own PostgreSQL',
    nodes: [node],
    clusterDirectory: join(dataDir, 'postgres'),
    serverLog: join(dataDir, 'postgres.log'),
    async finish(work) {
      await node.stop()
      const server = await startEmbeddedPostgres({ dataDir })
      try {
        return await work(server.connectionString)
      } finally {
        await server.stop()
      }
    },
  }
}

export async function severalNodes(service: BuiltService, folder: string, count: number): Promise<Topology> {
  const dataDir = join(folder, 'postgres')
  await mkdir(dataDir, { mode: 0o711 })
  const server = await SupervisedPostgres.start(dataDir)
  const nodes: SupervisedNode[] = []
  for (let n = 1; n <= count; n += 1) {
    nodes.push(await SupervisedNode.start(service, `node ${n}`, { DATABASE_URL: server.connectionString }))
  }
  await Promise.all(nodes.map((node) => node.ready(startTimeoutMs)))
  return {
    title: `${count} nodes, one PostgreSQL`,
    nodes,
    clusterDirectory: join(dataDir, 'postgres'),
    serverLog: join(dataDir, 'postgres.log'),
    async finish(work) {
      await Promise.all(nodes.map((node) => node.stop()))
      try {
        return await work(server.connectionString)
      } finally {
        await server.stop()
      }
    },
  }
}
