import type { ReadModel } from '../projections/readModel.ts'
import { ProblemError } from './problem.ts'

/** Lists and counts wait in line for a connection to the database: who would stand too far behind is told so at once. */
export function boundReads(readModel: ReadModel, readsMax: number): ReadModel {
  let inHand = 0
  async function bounded<T>(read: () => Promise<T>): Promise<T> {
    if (inHand >= readsMax) {
      const detail = `There are ${readsMax} reads of lists and counts in hand already.`
      throw new ProblemError({ code: 'overloaded', detail, retryAfterS: 1 })
    }
    inHand += 1
    try {
      return await read()
    } finally {
      inHand -= 1
    }
  }
  return {
    operations: (query) => bounded(() => readModel.operations(query)),
    stats: () => bounded(() => readModel.stats()),
    operation: (id) => readModel.operation(id),
    operationsById: (ids) => readModel.operationsById(ids),
    pipelines: () => readModel.pipelines(),
    parkedStreams: (maxCount, after) => readModel.parkedStreams(maxCount, after),
    parkedStream: (stream) => readModel.parkedStream(stream),
    position: () => readModel.position(),
    waitFor: (position, timeoutMs) => readModel.waitFor(position, timeoutMs),
    close: () => readModel.close(),
  }
}
