import type { EventSourceClient } from './eventSourceClients.ts'

/** What one client has been given, in the order in which it was. */
export interface Following {
  /** `stream@revision` of events, `id@revision` of operations. */
  readonly told: readonly string[]
  /** Resolves when `enough` holds; rejects when nothing was told for 30 s. */
  until(enough: (told: readonly string[]) => boolean): Promise<void>
  close(): void
}

const patienceMs = 30_000

export function follow(client: EventSourceClient, url: string): Following {
  const told: string[] = []
  const watchers = new Set<() => void>()
  const close = client.follow(url, ['event', 'operation', 'left'], (event, data) => {
    const { stream, id, revision } = JSON.parse(data)
    told.push(`${event === 'event' ? stream : id}@${revision}`)
    for (const watch of watchers) watch()
  })
  return {
    told,
    close,
    until: (enough) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error) => {
          clearTimeout(timer)
          watchers.delete(watch)
          if (error === undefined) resolve()
          else reject(error)
        }
        const watch = () => {
          timer.refresh()
          if (enough(told)) settle()
        }
        const timer = setTimeout(
          () =>
            settle(
              new Error(`${client.name} waited in vain; it was told ${told.length}, last ${told.slice(-5).join()}`),
            ),
          patienceMs,
        )
        watchers.add(watch)
        watch()
      }),
  }
}

/** What was told, without what was told again right after itself: that is all that such a client may double. */
export function onceEach({ keepsHalfMessages }: EventSourceClient, told: readonly string[]): readonly string[] {
  return keepsHalfMessages ? told.filter((one, n) => one !== told[n - 1]) : told
}
