import { openEventStoreLog } from '../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { describeEventLogContract } from './eventLogContract.ts'

const connectionString = process.env.EVENTSTORE_URL ?? ''

describeEventLogContract('EventStoreDB', async () => ({
  open: () => openEventStoreLog({ connectionString }),
  disturb: null,
  lacks: { densePositions: true, idIndex: true },
  close: async () => undefined,
}))
