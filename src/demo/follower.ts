import { setTimeout as delay } from 'node:timers/promises'
import { createWaybillClient } from '../client/client.ts'
import type { Findings } from './proof/findings.ts'
import type { ServiceAddress } from './serviceAddress.ts'

/** Follows the whole log while it grows, as an integration would: its live stream, across lost connections. */
export interface Follower {
  /** Reads on until every operation's `revisions` (id to last revision) were seen, then checks that none was missed. */
  finish(revisions: ReadonlyMap<string, number>, findings: Findings, timeoutMs: number): Promise<void>
  readonly eventsSeen: () => number
  /** Stops following. */
  close(): void
}

const lookEveryMs = 50

/** Follows from the log's head as it is now; `isOurs` tells the run's own operations from others'. */
export async function follow(waybill: ServiceAddress, isOurs: (operation: string) => boolean): Promise<Follower> {
  const client = createWaybillClient(waybill)
  const stopped = new AbortController()
  const { signal } = stopped
  const seen = new Map<string, number>()
  const disorder: string[] = []
  let events = 0
  let failure: string | null = null
  const { head } = await client.stats()

  const run = async (): Promise<void> => {
    for await (const { stream, revision } of client.streamEvents({ after: head, signal })) {
      const operation = stream.startsWith('operation-') ? stream.slice('operation-'.length) : null
      if (operation === null || !isOurs(operation)) continue
      const expected = (seen.get(operation) ?? -1) + 1
      if (revision !== expected) disorder.push(`${operation}: revision ${revision} came where ${expected} was due`)
      seen.set(operation, revision)
      events += 1
    }
  }
  const running = run().catch((error: unknown) => {
    if (!signal.aborted) failure = String(error)
  })

  return {
    finish: async (revisions, findings, timeoutMs) => {
      const missing = (): number =>
        [...revisions].filter(([operation, revision]) => (seen.get(operation) ?? -1) < revision).length
      const deadline = performance.now() + timeoutMs
      while (!signal.aborted && failure === null && missing() > 0 && performance.now() < deadline) {
        await delay(lookEveryMs)
      }
      stopped.abort()
      await running
      findings.looked('tail', events)
      if (failure !== null) findings.fault('tail', 'the follower', failure)
      for (const detail of disorder) findings.fault('tail', 'the log', detail)
      if (missing() > 0) findings.fault('tail', 'the log', `${missing()} operations were not seen to their end`)
    },
    eventsSeen: () => events,
    close: () => {
      stopped.abort()
      void client.close()
    },
  }
}
