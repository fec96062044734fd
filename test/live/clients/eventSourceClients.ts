import { createRequire } from 'node:module'
import { join } from 'node:path'
import { EventSourcePlus } from 'event-source-plus'
import { createEventSource } from 'eventsource-client'
import EventSource2 from 'eventsource2'
import { EventSource as EventSource3 } from 'eventsource3'
import { EventSource as LaunchDarklyEventSource } from 'launchdarkly-eventsource'

/** What a program gets from the library that it follows a stream with. */
export type OnMessage = (event: string, data: string) => void

/**
 * A published library that follows a stream, set up as its documentation says. Each reconnects by itself, with the last
 * id that it kept. A program asks for the messages it knows by their names; nobody asks for `position`.
 */
export interface EventSourceClient {
  readonly name: string
  /**
   * True when the library keeps an id as soon as its line has come, and what it had of a message across connections: then
   * a message that is cut between its data and its id comes twice.
   */
  readonly keepsHalfMessages: boolean
  /** Follows `url` until the function that it returns is called. */
  follow(url: string, events: readonly string[], onMessage: OnMessage): () => void
}

/** What `eventsource` 2, 3 and 5 and `launchdarkly-eventsource` have in common. */
interface EventTargetLike {
  addEventListener(event: string, listener: (message: { readonly data: string }) => void): void
  onerror: unknown
  close(): void
}

function listen(source: EventTargetLike, events: readonly string[], onMessage: OnMessage): () => void {
  // An EventEmitter throws an error that nobody listens to.
  source.onerror = () => undefined
  for (const event of events) source.addEventListener(event, ({ data }) => onMessage(event, data))
  return () => source.close()
}

export const eventSourceClients: readonly EventSourceClient[] = [
  {
    name: 'eventsource 2.0.2',
    keepsHalfMessages: true,
    follow: (url, events, onMessage) => listen(new EventSource2(url), events, onMessage),
  },
  {
    name: 'eventsource 3.0.7',
    keepsHalfMessages: false,
    follow: (url, events, onMessage) => listen(new EventSource3(url), events, onMessage),
  },
  {
    name: 'eventsource-client 1.2.0',
    keepsHalfMessages: false,
    follow(url, events, onMessage) {
      const onAny = ({ event = 'message', data }: { event?: string | undefined; data: string }) => {
        if (events.includes(event)) onMessage(event, data)
      }
      const source = createEventSource({ url, onMessage: onAny })
      return () => source.close()
    },
  },
  {
    name: 'launchdarkly-eventsource 2.2.0',
    keepsHalfMessages: false,
    follow: (url, events, onMessage) => listen(new LaunchDarklyEventSource(url), events, onMessage),
  },
  {
    name: 'event-source-plus 0.1.15',
    keepsHalfMessages: false,
    follow(url, events, onMessage) {
      const controller = new EventSourcePlus(url).listen({
        onMessage({ event, data }) {
          if (events.includes(event)) onMessage(event, data)
        },
      })
      return () => controller.abort()
    },
  },
  ...eventSource5(),
]

/** `eventsource` 5 needs Node 22: `npm run test:eventsource5` says where it has put it. */
function eventSource5(): readonly EventSourceClient[] {
  const folder = process.env.EVENTSOURCE5_FOLDER
  if (folder === undefined) return []
  const { EventSource } = createRequire(join(folder, 'package.json'))('eventsource')
  return [
    {
      name: 'eventsource 5.1.5',
      keepsHalfMessages: false,
      follow: (url, events, onMessage) => listen(new EventSource(url), events, onMessage),
    },
  ]
}
