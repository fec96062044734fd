import { bytesOf } from '../checkRequest.ts'
import { CopyError, type CopySource, type CopyTarget } from '../copy/copyLog.ts'
import { appendBytesMax, type EventLogLogger, type RecordedEvent } from '../eventLog.ts'
import { splitBySize } from '../splitBySize.ts'
import { Appends } from './appends.ts'
import { StoreClient } from './client.ts'
import { type EventStoreLog, openEventStoreLog } from './eventStoreLog.ts'
import { type LogState, readState, writeState } from './logState.ts'
import { Reads } from './reads.ts'
import { toStored } from './wire.ts'

const readTimeoutMs = 60_000
/** An append is pursued for so long: a leader may have to be found anew. */
const appendTimeoutMs = 30_000

const silent: EventLogLogger = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** Nothing in the store keeps a running node from appending to a closed log: that it did is found at the end. */
export function openEventStoreSource(connectionString: string): Promise<CopySource> {
  return openStore(connectionString, async (store) => {
    const { log, reads } = store
    if ((await readState(reads)).state === 'importing') throw new CopyError('The source is a copy that is not finished')
    return {
      log,
      end: () => store.end(),
      close: () => store.turn('open', 'closed'),
      reopen: () => store.turn('closed', 'open'),
      async checkUnmoved(end) {
        const { state } = await readState(reads)
        if (state !== 'closed') throw new CopyError('The source was opened again while it was being copied')
        if ((await log.head()) === end) return
        throw new CopyError(
          'Something was appended to the source while it was being copied. Stop its services, and run again',
        )
      },
    }
  })
}

export function openEventStoreTarget(connectionString: string): Promise<CopyTarget> {
  return openStore(connectionString, async (store) => ({
    log: store.log,
    end: () => store.end(),
    begin: (sourceLogId) => begin(store, sourceLogId),
    last: () => store.reads.last(),
    add: (events) => add(store, events),
    finish: () => store.turn('importing', 'open'),
  }))
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

  /** Nothing changes when the log is in another state. */
  async turn(from: LogState['state'], to: LogState['state']): Promise<void> {
    const before = await readState(this.reads)
    if (before.state === from) await writeState(this.appends, before, to, before.copiedFrom)
  }

  async end(): Promise<void> {
    await this.log.close()
    await this.appends.close()
    await this.#client.close()
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

async function begin({ log, reads, appends }: Store, sourceLogId: string): Promise<void> {
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

/** One append after the other: the store promises no order of those under way at once. */
async function add({ appends }: Store, events: readonly RecordedEvent[]): Promise<void> {
  for (const run of runs(events)) {
    const [first] = run
    if (first === undefined) continue
    const { stream, revision } = first
    const append = { stream, expected: revision - 1n, events: run.map(toStored) }
    const result = await appends.append(append, bytesOf(run))
    if (result.kind !== 'written') {
      throw new CopyError(`${stream} @ ${revision} was not copied: ${result.kind}. Run again to go on`)
    }
  }
}

/** Events of one stream that follow each other, as far as one append carries them. */
function* runs(events: readonly RecordedEvent[]): Generator<readonly RecordedEvent[]> {
  for (let from = 0; from < events.length; ) {
    const stream = events[from]?.stream
    const end = events.findIndex((event, index) => index > from && event.stream !== stream)
    const run = events.slice(from, end === -1 ? events.length : end)
    yield* splitBySize(run, (event) => bytesOf([event]), appendBytesMax)
    from += run.length
  }
}
