import { openEventStoreLog } from '../../../dist/eventlog/eventstoredb/eventStoreLog.js'
import { appendThroughPort } from './waybillLog.mjs'

export async function openAppender({ eventStoreUrl }) {
  const appender = appendThroughPort(await openEventStoreLog({ connectionString: eventStoreUrl }))
  // What is in the store was there before us in part; each append was answered with its revision.
  return { ...appender, count: async () => null }
}
