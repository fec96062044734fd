import { createMemoryEventLog } from '../../src/eventlog/memory/memoryEventLog.ts'
import { describeEventLogContract } from './eventLogContract.ts'

describeEventLogContract('memory', async () => {
  const log = createMemoryEventLog()
  // One process, one memory: its other nodes are itself, and the suite's closing of one must not end the others.
  return { open: async () => ({ ...log, close: async () => undefined }), disturb: null, close: () => log.close() }
})
