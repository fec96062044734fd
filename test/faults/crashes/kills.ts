import type { Random } from '../../../src/demo/random.ts'
import { backendsOf, isAlive, postmasterOf, signalProcess } from '../support/serverProcesses.ts'
import type { SupervisedNode } from '../support/supervisedNode.ts'
import type { Topology } from './topology.ts'

/**
 * `node`: -9 to one node. `nodes`: to all of them at once. `postmaster`: -9 to PostgreSQL's first process. `backend`: -9 to
 * the process of one session, after which PostgreSQL ends all others and recovers. `session`: one session is ended, nothing
 * else. `everything`: -9 to the nodes and the postmaster.
 */
export type KillKind = 'node' | 'nodes' | 'postmaster' | 'backend' | 'session' | 'everything'

export interface Killed {
  readonly kind: KillKind
  /** Whether what was killed is gone, and another process in its place where there is to be one. */
  readonly isReplaced: () => boolean
}

export function killKinds({ nodes }: Topology): readonly [KillKind, ...KillKind[]] {
  return nodes.length > 1
    ? ['node', 'nodes', 'postmaster', 'backend', 'session', 'everything']
    : ['node', 'postmaster', 'backend', 'session', 'everything']
}

/** Null: there was nothing to be killed, because it had not come back from the last time. */
export function kill(kind: KillKind, { nodes, clusterDirectory }: Topology, random: Random): Killed | null {
  switch (kind) {
    case 'node': {
      const node = nodes[random.integer(0, nodes.length - 1)]
      return node === undefined ? null : { kind, isReplaced: killNode(node) }
    }
    case 'nodes': {
      const replaced = nodes.map(killNode)
      return { kind, isReplaced: () => replaced.every((isIt) => isIt()) }
    }
    case 'postmaster': {
      const isReplaced = killPostmaster(clusterDirectory)
      return isReplaced === null ? null : { kind, isReplaced }
    }
    case 'everything': {
      const isReplaced = killPostmaster(clusterDirectory)
      const replaced = [...nodes.map(killNode), isReplaced ?? (() => true)]
      return { kind, isReplaced: () => replaced.every((isIt) => isIt()) }
    }
    case 'backend':
    case 'session': {
      const postmaster = postmasterOf(clusterDirectory)
      const backends = postmaster === null ? [] : backendsOf(postmaster)
      const victim = backends[random.integer(0, backends.length - 1)]
      const signal = kind === 'backend' ? 'SIGKILL' : 'SIGTERM'
      if (victim === undefined || !signalProcess(victim, signal)) return null
      const ending = kind === 'backend' ? backends : [victim]
      return { kind, isReplaced: () => !ending.some(isAlive) }
    }
    default:
      return kind satisfies never
  }
}

function killNode(node: SupervisedNode): () => boolean {
  const { restarts } = node
  node.kill()
  return () => node.restarts > restarts
}

function killPostmaster(clusterDirectory: string): (() => boolean) | null {
  const postmaster = postmasterOf(clusterDirectory)
  if (postmaster === null || !signalProcess(postmaster, 'SIGKILL')) return null
  return () => (postmasterOf(clusterDirectory) ?? postmaster) !== postmaster
}
