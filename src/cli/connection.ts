import { readFileSync } from 'node:fs'
import { isReadableOnItsWay } from '../runtime/loopback.ts'
import type { Connection } from './httpApi.ts'
import { WrongUsage } from './outcome.ts'

export interface ConnectionOptions {
  readonly url?: string
  readonly keyFile?: string
  readonly quiet?: boolean
}

const urlByDefault = 'http://127.0.0.1:8080'

/**
 * The service to talk to, and the key. A key is never an argument: arguments are seen by everybody on the machine and kept
 * in the shell's history. Throws WrongUsage. `warn` is told when the key can be read on its way, unless it is to be quiet.
 */
export function readConnection(
  options: ConnectionOptions,
  environment: Readonly<Record<string, string | undefined>>,
  warn: (text: string) => void = (text) => process.stderr.write(`${text}\n`),
): Connection {
  const connection = connectionOf(options, environment)
  if (connection.key !== null && options.quiet !== true && isReadableOnItsWay(new URL(connection.url))) {
    const { origin } = new URL(connection.url)
    warn(`Warning: the key goes to ${origin} as plain text, and can be read on its way. Use https (docs/access.md).`)
  }
  return connection
}

function connectionOf(
  options: ConnectionOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Connection {
  const url = options.url ?? nonEmpty(environment.WAYBILL_URL) ?? urlByDefault
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new WrongUsage(`${url} is not an address such as ${urlByDefault}`)
  }
  const file = options.keyFile ?? nonEmpty(environment.WAYBILL_KEY_FILE)
  const key = options.keyFile === undefined ? nonEmpty(environment.WAYBILL_KEY) : undefined
  if (key !== undefined) return { url, key: soundKey(key, 'WAYBILL_KEY') }
  if (file === undefined) return { url, key: null }
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch {
    throw new WrongUsage(`The key file ${file} cannot be read`)
  }
  return { url, key: soundKey(text, `The file ${file}`) }
}

/** Anything else would not fit into the header, and the error about it would show it. */
function soundKey(key: string, source: string): string {
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(key)) return key
  throw new WrongUsage(`${source} does not hold a key`)
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
