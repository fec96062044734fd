import type { Random } from '../../src/demo/random.ts'
import type { NetworkFaults } from './plan.ts'
import type { Actor, Pending, Scheduler } from './scheduler.ts'
import type { SimulatedNode } from './simulatedNode.ts'

/** What a caller learns. `refused`: no connection, so nothing was sent. `broken`: nobody knows. */
export type Exchanged<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'refused' }
  | { readonly kind: 'broken' }

export interface Network {
  readonly scheduler: Scheduler
  readonly random: Random
  readonly latencyMs: number
  faults: NetworkFaults
  /** Requests that may still arrive at a node. */
  readonly underWay: Pending
}

/** How long a caller waits for an answer. */
const timeoutMs = 1_500

/** One request to a node and its answer, as HTTP carries them: once, or not at all, or when nobody waits any more. `handle` never rejects. */
export function exchange<T>(
  network: Network,
  client: Actor,
  node: SimulatedNode,
  handle: (node: SimulatedNode) => Promise<T>,
): Promise<Exchanged<T>> {
  const { scheduler, random, faults } = network
  const delayMs = () => random.exponential(network.latencyMs)
  return new Promise((resolve) => {
    let isSettled = false
    const settle = (ms: number, result: Exchanged<T>): void => {
      scheduler.after(
        ms,
        () => {
          if (isSettled) return
          isSettled = true
          scheduler.cancel(timeout)
          open.leave()
          resolve(result)
        },
        client,
      )
    }
    const timeout = scheduler.after(timeoutMs, () => settle(0, { kind: 'broken' }), client)
    const open = node.enter(() => settle(delayMs(), { kind: 'broken' }))
    if (!node.actor.isAlive) return settle(delayMs(), { kind: 'refused' })
    if (random.chance(faults.requestLost)) return
    const arrivesMs = random.chance(faults.late) ? timeoutMs * (0.9 + random.next()) : delayMs()
    const answerIsLost = random.chance(faults.answerLost)
    const arrive = (): void => {
      void handle(node).then((value) => {
        if (!answerIsLost) settle(delayMs(), { kind: 'answer', value })
      })
    }
    network.underWay.add(scheduler.after(arrivesMs, arrive, node.actor))
  })
}
