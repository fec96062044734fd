import { closeSync, openSync } from 'node:fs'

// What can be known of the stores' addresses before anybody connects. No fault quotes its URL: it may hold a password.

/** Options of a connection string of PostgreSQL that name files, which `pg` reads at each connection. */
const databaseFiles = ['sslrootcert', 'sslcert', 'sslkey']

/** What `pg` knows of. Any other it takes for the strictest, or, of `ssl`, fails on in the middle of a connection. */
const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']
const sslWords = ['true', '1', '0', 'no-verify']

export function databaseUrlFaults(databaseUrl: string): string[] {
  const url = databaseUrlOf(databaseUrl)
  if (url === null) {
    return [
      'must be postgres://user:password@host:port/database; in a password, # / ? @ and % are written as %23 and so on',
    ]
  }
  return [
    ...wordFaults('sslmode', url.searchParams.getAll('sslmode'), sslModes),
    ...wordFaults('ssl', url.searchParams.getAll('ssl'), sslWords),
    ...databaseFiles.flatMap((option) => fileFaults(option, url.searchParams.get(option))),
  ]
}

/** Null when it is none. As `pg` does, takes one whose host is in its query (`postgres://user@/database?host=/run`). */
export function databaseUrlOf(databaseUrl: string): URL | null {
  const named = databaseUrl.replace('@/', '@localhost/')
  return URL.canParse(named) ? new URL(named) : null
}

/** `kurrentdb` is what the store's later versions call it. */
export const eventStoreScheme = /^(?:esdb|kurrentdb)(?:\+discover)?:\/\//
const eventStoreForm =
  /^(?:esdb|kurrentdb)(?:\+discover)?:\/\/(?:[^:]+:[^@]+@)?(?<hosts>[^$+!?*'();[\]{}|"%~#<>=&@/]+)\/*(?:\?(?<options>.*))?$/
const eventStoreHost = /^[^:\s]+(?::\d{1,5})?$/
const eventStoreFiles: ReadonlySet<string> = new Set(['tlscafile', 'userkeyfile', 'usercertfile'])

export function eventStoreUrlFaults(eventStoreUrl: string): string[] {
  const { hosts = '', options = '' } = eventStoreForm.exec(eventStoreUrl.trim())?.groups ?? {}
  const pairs = options === '' ? [] : options.split('&').map((pair) => pair.split('='))
  const isSound =
    hosts !== '' &&
    hosts.split(',').every((host) => eventStoreHost.test(host)) &&
    pairs.every(([name, value = '']) => name !== '' && value !== '')
  if (!isSound) return ['must be esdb://user:password@host:port?tls=true, as docs/operations.md shows']
  return pairs.flatMap(([name = '', value = '']) => {
    const option = name.toLowerCase().replace(/[_-]/g, '')
    if (option === 'tls' && value !== 'true' && value !== 'false') return ['tls must be true or false']
    return eventStoreFiles.has(option) ? fileFaults(name, decoded(value)) : []
  })
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function wordFaults(option: string, values: readonly string[], known: readonly string[]): string[] {
  if (values.every((value) => value === '' || known.includes(value))) return []
  return [`its option ${option} must be one of ${known.join(', ')} (docs/operations.md says what each means)`]
}

function fileFaults(option: string, path: string | null): string[] {
  if (path === null || path === '') return []
  try {
    closeSync(openSync(path, 'r'))
    return []
  } catch {
    return [`the file of its option ${option} cannot be read`]
  }
}
