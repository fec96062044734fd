import { openEventStoreLog } from '../../src/eventlog/eventstoredb/eventStoreLog.ts'
import { startStandIn } from '../eventlog/eventstoredb/standIn.ts'
import { patienceMs } from '../support/patience.ts'
import { describeEventLogContract } from './eventLogContract.ts'

const lacks = { densePositions: true, idIndex: true } as const
const patient = { deadlineMs: patienceMs, silenceMs: patienceMs, readTimeoutMs: patienceMs }
const real = process.env.EVENTSTORE_URL

if (real === undefined) {
  describeEventLogContract('EventStoreDB, a stand-in', async () => {
    const standIn = await startStandIn()
    const { connectionString } = standIn
    return {
      // It is neither lost nor silent, and on a busy machine slower than a server may be.
      open: () => openEventStoreLog({ connectionString, ...patient }),
      disturb: null,
      lacks,
      close: () => standIn.close(),
    }
  })
} else {
  describeEventLogContract('EventStoreDB', async () => ({
    open: () => openEventStoreLog({ connectionString: real }),
    disturb: null,
    lacks,
    close: async () => undefined,
  }))
}
