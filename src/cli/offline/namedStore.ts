import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { databaseUrlFaults, eventStoreScheme } from '../../config/storeUrls.ts'
import { WrongUsage } from '../outcome.ts'
import type { Terminal } from '../terminal.ts'

/** A store: a database or cluster by its URL, or the data directory of an embedded PostgreSQL. */
export type Store =
  | { readonly kind: 'postgres' | 'eventstore'; readonly url: string }
  | { readonly kind: 'embedded'; readonly dataDir: string }

/** How a verb was told of a store: an option that names it, or one that names a file that does. */
export interface StoreNaming {
  /** Without the dashes: `from`; the other option is `from-file`. */
  readonly option: string
  readonly word: string | undefined
  /** `-` is standard input. */
  readonly file: string | undefined
  readonly directory: 'there' | 'there or new'
}

const standardInput = '-'

/**
 * The store that is named, or null where none is. Warns of a password among the arguments, which everybody on the machine
 * can read.
 *
 * @throws {WrongUsage}
 */
export function namedStore({ option, word, file, directory }: StoreNaming, terminal: Terminal): Store | null {
  if (file !== undefined) {
    if (word !== undefined) throw new WrongUsage(`Pass either --${option} or --${option}-file`)
    const source = file === standardInput ? 'Standard input' : `The file ${file}`
    // Never what is in it: that may be a password.
    return parseStore(textOf(file, source), directory, source)
  }
  if (word === undefined) return null
  const store = parseStore(word, directory, word)
  if (store.kind !== 'embedded' && hasPassword(store.url)) {
    terminal.progress(
      `Warning: --${option} holds a password, and everybody on this machine can read the arguments of a command. ` +
        `Write the URL to a file that only you can read, and pass --${option}-file.`,
    )
  }
  return store
}

/** Without the password. */
export function storeText(store: Store): string {
  return store.kind === 'embedded' ? store.dataDir : store.url.replace(inAuthority, '$1@').replace(inQuery, '$1...')
}

/** Both of them: `pg` takes a password from either place. */
const inAuthority = /^([^:]+:\/\/[^:@/]*):[^@/]*@/
const inQuery = /([?&](?:password|sslpassword)=)[^&#]+/gi

function hasPassword(url: string): boolean {
  // A password may be empty, and is none then.
  return /^[^:]+:\/\/[^:@/]*:[^@/]+@/.test(url) || url.search(inQuery) !== -1
}

function textOf(file: string, source: string): string {
  let text: string
  try {
    text = readFileSync(file === standardInput ? process.stdin.fd : file, 'utf8').trim()
  } catch {
    throw new WrongUsage(`${source} cannot be read`)
  }
  if (text === '') throw new WrongUsage(`${source} is empty, and must hold the name of a store`)
  return text
}

function parseStore(word: string, directory: StoreNaming['directory'], shown: string): Store {
  if (/^postgres(ql)?:\/\//.test(word)) {
    const [fault] = databaseUrlFaults(word)
    if (fault !== undefined) throw new WrongUsage(`The URL of the database is not valid: ${fault}`)
    return { kind: 'postgres', url: word }
  }
  if (eventStoreScheme.test(word)) return { kind: 'eventstore', url: word }
  if (/^[a-z+]+:\/\//.test(word)) throw new WrongUsage(`${word.split(':')[0]}:// is not a store that can be copied`)
  if (directory === 'there' && !existsSync(join(word, 'postgres'))) {
    throw new WrongUsage(
      `${shown} is neither a URL (postgres://..., esdb://..., kurrentdb://...) nor a data directory of Waybill's`,
    )
  }
  return { kind: 'embedded', dataDir: word }
}
