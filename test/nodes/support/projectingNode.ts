import { patienceMs } from '../../support/patience.ts'
import type { NodeProcess } from './nodeProcess.ts'
import { until } from './until.ts'

/** What a node says its projector does; null when it does not answer as it should. */
export async function projectorDetail(node: NodeProcess): Promise<string | null> {
  const { body } = await node.http.get('/readyz?verbose')
  const checks = Array.isArray(body.checks) ? (body.checks as readonly { name: string; detail: string }[]) : []
  return checks.find(({ name }) => name === 'projector')?.detail ?? null
}

/** The one node that projects. */
export function projectingNode(nodes: readonly NodeProcess[]): Promise<NodeProcess> {
  return until('a node projects', patienceMs, async () => {
    const details = await Promise.all(nodes.map(projectorDetail))
    const owners = nodes.filter((_, index) => details[index] === 'It follows the log.')
    return owners.length === 1 ? owners[0] : null
  })
}
