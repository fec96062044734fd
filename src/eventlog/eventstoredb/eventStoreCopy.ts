import { CopyError, type CopySource, type CopyTarget } from '../copy/copyLog.ts'
import { appendBytesMax, type EventLogLogger, type RecordedEvent } from '../eventLog.ts'
import { Appends } from './appends.ts'
import { StoreClient } from './client.ts'
import { type EventStoreLog, openEventStoreLog } from './eventStoreLog.ts'
import { readState, writeState } from './logState.ts'
import { Reads } from './reads.ts'
import { toStored } from './wire.ts'

const readTimeoutMs = 60_000
/** An append is pursued for so long: a leader may have to be found anew. */
const appendTimeoutMs = 30_000

const silent: EventLogLogger = { info: () => undefined, warn: () => undefined, error: () => undefined }

export function openEventStoreSource(connectionString: string): Promise<CopySource> {
  return openStore(connectionString, async (store) => {
    if ((await readState(store.reads)).state === 'importing') {
      throw new CopyError('The source is a copy that is not finished')
    }
    return new EventStoreSource(store)
  })
}

export function openEventStoreTarget(connectionString: string): Promise<CopyTarget> {
  return openStore(connectionString, async (store) => new EventStoreTarget(store))
}

class Store {
  readonly log: EventStoreLog
  readonly reads: Reads
  readonly appends: Appends
  readonly #client: StoreClient

  constructor(connectionString: string, log: EventStoreLog) {
    this.log = log
    this.#client = new StoreClient(connectionString)
    this.reads = new Reads({ client: this.#client, timeoutMs: readTimeoutMs })
    this.appends = new Appends({
      client: this.#client,
      admit: async () => undefined,
      isBroken: () => false,
      logger: silent,
      inFlightMax: 1,
      deadlineMs: appendTimeoutMs,
      silenceMs: appendTimeoutMs / 3,
      patienceMs: appendTimeoutMs,
    })
  }

  async end(): Promise<void> {
    await this.log.close()
    await this.appends.close()
    await this.#client.close()
  }
}

/** Nothing in the store keeps a running node from appending to a closed log: that it did is found at the end. */
class EventStoreSource implements CopySource {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  get log(): EventStoreLog {
    return this.#store.log
  }

  async close(): Promise<void> {
    const before = await readState(this.#store.reads)
    if (before.state === 'open') await writeState(this.#store.appends, before, 'closed', before.copiedFrom)
  }

  async reopen(): Promise<void> {
    const before = await readState(this.#store.reads)
    if (before.state === 'closed') await writeState(this.#store.appends, before, 'open', before.copiedFrom)
  }

  async checkUnmoved(end: bigint): Promise<void> {
    const { state } = await readState(this.#store.reads)
    if (state !== 'closed') throw new CopyError('The source was opened again while it was being copied')
    const head = await this.log.head()
    if (head === end) return
    throw new CopyError(
      'Something was appended to the source while it was being copied. Stop its services, and run again',
    )
  }

  end(): Promise<void> {
    return this.#store.end()
  }
}

class EventStoreTarget implements CopyTarget {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  get log(): EventStoreLog {
    return this.#store.log
  }

  async begin(sourceLogId: string): Promise<void> {
    const { reads, appends, log } = this.#store
    const before = await readState(reads)
    if (before.state === 'importing' && before.copiedFrom === sourceLogId) return
    if (before.state === 'importing') {
      throw new CopyError(`The target is an unfinished copy of another log, ${before.copiedFrom}`)
    }
    if (before.state === 'closed' || (await log.head()) !== 0n) {
      throw new CopyError('The target is not empty. Give an EventStoreDB that holds no log')
    }
    await writeState(appends, before, 'importing', sourceLogId)
  }

  last(): Promise<RecordedEvent | null> {
    return this.#store.reads.last()
  }

  /** One append after the other: the store promises no order of those under way at once. */
  async add(events: readonly RecordedEvent[]): Promise<void> {
    for (const run of runs(events)) {
      const [first] = run
      if (first === undefined) continue
      const stored = run.map(toStored)
      const append = { stream: first.stream, expected: first.revision - 1n, events: stored }
      const result = await this.#store.appends.append(
        append,
        run.reduce((sum, event) => sum + bytesOf(event), 0),
      )
      if (result.kind !== 'written') {
        throw new CopyError(`${first.stream} @ ${first.revision} was not copied: ${result.kind}. Run again to go on`)
      }
    }
  }

  async finish(): Promise<void> {
    const { reads, appends } = this.#store
    const before = await readState(reads)
    await writeState(appends, before, 'open', before.copiedFrom)
  }

  end(): Promise<void> {
    return this.#store.end()
  }
}

async function openStore<T>(connectionString: string, opener: (store: Store) => Promise<T>): Promise<T> {
  const log = await openEventStoreLog({ connectionString, readTimeoutMs, whateverState: true })
  const store = new Store(connectionString, log)
  try {
    return await opener(store)
  } catch (error) {
    await store.end()
    throw error
  }
}

/** Events of one stream that follow each other, as far as one append carries them. */
function* runs(events: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  let run: RecordedEvent[] = []
  let bytes = 0
  for (const event of events) {
    const size = bytesOf(event)
    if (run.length > 0 && (run[0]?.stream !== event.stream || bytes + size > appendBytesMax)) {
      yield run
      run = []
      bytes = 0
    }
    run.push(event)
    bytes += size
  }
  if (run.length > 0) yield run
}

function bytesOf({ type, data, metadata }: RecordedEvent): number {
  return Buffer.byteLength(type) + Buffer.byteLength(data) + Buffer.byteLength(metadata)
}
