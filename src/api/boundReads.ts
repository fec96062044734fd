import { createSemaphore } from '../eventlog/semaphore.ts'
import type { ReadModel } from '../projections/readModel.ts'
import { ProblemError } from './problem.ts'

/** Read at once. A page can be 10 MB, several times as much while it is being made, and one thread makes them all. */
const atOnceMax = 4

/** Lists and counts wait in line: who would stand too far behind is told so at once. */
export function boundReads(readModel: ReadModel, readsMax: number): ReadModel {
  const slots = createSemaphore(atOnceMax)
  let inHand = 0
  async function bounded<T>(read: () => Promise<T>): Promise<T> {
    if (inHand >= readsMax) {
      const detail = `There are ${readsMax} reads of lists and counts in hand already.`
      throw new ProblemError({ code: 'overloaded', detail, retryAfterS: 1 })
    }
    inHand += 1
    try {
      return await slots.run(read)
    } finally {
      inHand -= 1
    }
  }
  return {
    operations: (query) => bounded(() => readModel.operations(query)),
    stats: () => bounded(() => readModel.stats()),
    oldestInStatus: () => bounded(() => readModel.oldestInStatus()),
    operation: (id) => readModel.operation(id),
    operationsById: (ids) => readModel.operationsById(ids),
    pipelines: (maxCount, after) => bounded(() => readModel.pipelines(maxCount, after)),
    pipelineCount: (countMax) => readModel.pipelineCount(countMax),
    parkedStreams: (maxCount, after) => readModel.parkedStreams(maxCount, after),
    parkedStream: (stream) => readModel.parkedStream(stream),
    checkpoint: () => readModel.checkpoint(),
    position: () => readModel.position(),
    waitFor: (position, timeoutMs) => readModel.waitFor(position, timeoutMs),
    close: () => readModel.close(),
  }
}
