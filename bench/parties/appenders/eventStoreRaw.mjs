// EventStoreDB through its own client: one append a call.
import { EventStoreDBClient, jsonEvent, NO_STREAM } from '@eventstore/db-client'

export async function openAppender({ eventStoreUrl }) {
  const client = EventStoreDBClient.connectionString(eventStoreUrl)
  return {
    async append(stream, revision, { type, data, metadata }) {
      const { nextExpectedRevision } = await client.appendToStream(stream, jsonEvent({ type, data, metadata }), {
        expectedRevision: revision ?? NO_STREAM,
      })
      return nextExpectedRevision
    },
    count: async () => null,
    close: () => client.dispose(),
  }
}
