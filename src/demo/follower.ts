import { setTimeout as delay } from 'node:timers/promises'
import { createHttpClient } from './httpClient.ts'
import { textOf } from './json.ts'
import type { Findings } from './proof/findings.ts'
import { eventsAfter, getJson } from './serviceApi.ts'

/** Follows the whole log while it grows, as an integration would: page after page, each from where the last ended. */
export interface Follower {
  /** Reads on until every operation's `revisions` (id to last revision) were seen, then checks that none was missed. */
  finish(revisions: ReadonlyMap<string, number>, findings: Findings, timeoutMs: number): Promise<void>
  readonly eventsSeen: () => number
  /** Stops following. */
  close(): void
}

const pageSize = 500
const idleMs = 50

/** Follows from the log's head as it is now; `isOurs` tells the run's own operations from others'. */
export async function follow(baseUrl: string, isOurs: (operation: string) => boolean): Promise<Follower> {
  const client = createHttpClient(baseUrl, 1)
  const seen = new Map<string, number>()
  const disorder: string[] = []
  let events = 0
  let open = true
  let after = textOf((await getJson(client, '/v1/stats')).head)
  let failure: string | null = null

  const readPage = async (): Promise<number> => {
    const page = await eventsAfter(client, after, pageSize)
    after = page.next
    for (const { stream, revision } of page.events) {
      const operation = stream.startsWith('operation-') ? stream.slice('operation-'.length) : null
      if (operation === null || !isOurs(operation)) continue
      const expected = (seen.get(operation) ?? -1) + 1
      if (revision !== expected) disorder.push(`${operation}: revision ${revision} came where ${expected} was due`)
      seen.set(operation, revision)
      events += 1
    }
    return page.events.length
  }
  const run = async (): Promise<void> => {
    while (open) if ((await readPage()) === 0) await delay(idleMs)
  }
  const running = run().catch((error: unknown) => {
    failure = String(error)
  })

  return {
    finish: async (revisions, findings, timeoutMs) => {
      const missing = (): number =>
        [...revisions].filter(([operation, revision]) => (seen.get(operation) ?? -1) < revision).length
      const deadline = performance.now() + timeoutMs
      while (failure === null && missing() > 0 && performance.now() < deadline) await delay(idleMs)
      open = false
      await running
      findings.looked('tail', events)
      if (failure !== null) findings.fault('tail', 'the follower', failure)
      for (const detail of disorder) findings.fault('tail', 'the log', detail)
      if (missing() > 0) findings.fault('tail', 'the log', `${missing()} operations were not seen to their end`)
    },
    eventsSeen: () => events,
    close: () => {
      open = false
      client.close()
    },
  }
}
