import type { CopySource, CopyTarget } from '../../eventlog/copy/copyLog.ts'
import { openPostgresSource, openPostgresTarget } from '../../eventlog/postgres/postgresCopy.ts'
import { startEmbeddedPostgres } from '../../postgres/embedded.ts'
import { importWith } from '../../runtime/optionalPackage.ts'
import { WrongUsage } from '../outcome.ts'
import type { Store } from './namedStore.ts'

export function openSource(store: Store, progress: (text: string) => void): Promise<CopySource> {
  return openStore(store, progress, {
    postgres: openPostgresSource,
    eventstore: async (url) => (await eventStore()).openEventStoreSource(url),
  })
}

export function openTarget(store: Store, progress: (text: string) => void): Promise<CopyTarget> {
  return openStore(store, progress, {
    postgres: openPostgresTarget,
    eventstore: async (url) => (await eventStore()).openEventStoreTarget(url),
  })
}

/** Runs `work` on a log in PostgreSQL, with its owner's connection string. @throws {WrongUsage} it is in no PostgreSQL */
export async function withPostgres<T>(
  store: Store,
  progress: (text: string) => void,
  work: (connectionString: string) => Promise<T>,
): Promise<T> {
  if (store.kind === 'eventstore') throw new WrongUsage('EventStoreDB keeps the id of its log in an event, which stays')
  if (store.kind !== 'embedded') return work(store.url)
  const server = await startEmbeddedPostgres({ dataDir: store.dataDir, log: progress })
  try {
    return await work(server.connectionString)
  } finally {
    await server.stop()
  }
}

const eventStore = () =>
  importWith(
    '@eventstore/db-client',
    'A store in EventStoreDB',
    () => import('../../eventlog/eventstoredb/eventStoreCopy.ts'),
  )

/** What each kind of store is opened by. */
interface Openers<T> {
  readonly postgres: (connectionString: string) => Promise<T>
  readonly eventstore: (connectionString: string) => Promise<T>
}

async function openStore<T extends { end(): Promise<void> }>(
  store: Store,
  progress: (text: string) => void,
  openers: Openers<T>,
): Promise<T> {
  if (store.kind !== 'embedded') return openers[store.kind](store.url)
  const server = await startEmbeddedPostgres({ dataDir: store.dataDir, log: progress })
  try {
    const opened = await openers.postgres(server.connectionString)
    return withEnd(opened, () => server.stop())
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** The same object; its `end` ends the server below it as well. */
function withEnd<T extends { end(): Promise<void> }>(store: T, endServer: () => Promise<void>): T {
  const end = store.end.bind(store)
  store.end = async () => {
    try {
      await end()
    } finally {
      await endServer()
    }
  }
  return store
}
