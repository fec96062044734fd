// Of the libraries that come without types, what the tests use.

interface NamedEventSource {
  addEventListener(event: string, listener: (message: { readonly data: string }) => void): void
  onerror: unknown
  close(): void
}

declare module 'eventsource2' {
  const EventSource: new (url: string) => NamedEventSource
  export default EventSource
}

declare module 'launchdarkly-eventsource' {
  export const EventSource: new (url: string) => NamedEventSource
}
