import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { CopySource, CopyTarget } from '../../eventlog/copy/copyLog.ts'
import { openPostgresSource, openPostgresTarget } from '../../eventlog/postgres/postgresCopy.ts'
import { importWith } from '../../optionalPackage.ts'
import { startEmbeddedPostgres } from '../../postgres/embedded.ts'
import { WrongUsage } from '../outcome.ts'

/** A store by the word for it: a database's or cluster's URL, or the data directory of an embedded PostgreSQL. */
type Store =
  | { readonly kind: 'postgres' | 'eventstore'; readonly url: string }
  | { readonly kind: 'embedded'; readonly dataDir: string }

export function openSource(word: string, progress: (text: string) => void): Promise<CopySource> {
  return openStore(parseStore(word, 'there'), progress, {
    postgres: openPostgresSource,
    eventstore: async (url) => (await eventStore()).openEventStoreSource(url),
  })
}

export function openTarget(word: string, progress: (text: string) => void): Promise<CopyTarget> {
  return openStore(parseStore(word, 'there or new'), progress, {
    postgres: openPostgresTarget,
    eventstore: async (url) => (await eventStore()).openEventStoreTarget(url),
  })
}

/** Runs `work` on a log in PostgreSQL, with its owner's connection string. @throws {WrongUsage} it is in no PostgreSQL */
export async function withPostgres<T>(
  word: string,
  progress: (text: string) => void,
  work: (connectionString: string) => Promise<T>,
): Promise<T> {
  const store = parseStore(word, 'there')
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

/** Without the password. Throws WrongUsage when it is no store. */
export function storeText(word: string, directory: DirectoryIs): string {
  const store = parseStore(word, directory)
  if (store.kind === 'embedded') return store.dataDir
  return store.url.replace(/^([^:]+:\/\/[^:@/]*):[^@/]*@/, '$1@')
}

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

type DirectoryIs = 'there' | 'there or new'

/** Throws WrongUsage. */
function parseStore(word: string, directory: DirectoryIs): Store {
  if (/^postgres(ql)?:\/\//.test(word) && URL.canParse(word)) return { kind: 'postgres', url: word }
  if (/^esdb(\+discover)?:\/\//.test(word)) return { kind: 'eventstore', url: word }
  if (/^[a-z+]+:\/\//.test(word)) throw new WrongUsage(`${word.split(':')[0]}:// is no store that can be copied`)
  if (directory === 'there' && !existsSync(join(word, 'postgres'))) {
    throw new WrongUsage(`${word} is neither a URL (postgres://..., esdb://...) nor a data directory of Waybill's`)
  }
  return { kind: 'embedded', dataDir: word }
}
