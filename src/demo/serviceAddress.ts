import { readFileSync } from 'node:fs'
import { UsageError } from './usageError.ts'

/** Where a Waybill is, and the key to show it. */
export interface ServiceAddress {
  readonly baseUrl: string
  readonly apiKey?: string
}

export interface AddressOptions {
  readonly url?: string | undefined
  readonly 'key-file'?: string | undefined
}

/**
 * As the command line `waybill` reads them: a key is never an argument, for arguments are seen by everybody on the machine.
 * Null when no service is named. Throws UsageError.
 */
export function readAddress(
  options: AddressOptions,
  environment: Readonly<Record<string, string | undefined>>,
): ServiceAddress | null {
  const baseUrl = options.url ?? nonEmpty(environment.WAYBILL_URL) ?? null
  if (baseUrl === null) {
    // A key of the environment is another service's: the demo's own asks for none.
    if (options['key-file'] !== undefined) throw new UsageError('--key-file needs a --url')
    return null
  }
  if (!URL.canParse(baseUrl)) throw new UsageError(`not a URL: ${baseUrl}`)
  const apiKey = readKey(options['key-file'], environment)
  return apiKey === null ? { baseUrl } : { baseUrl, apiKey }
}

function readKey(option: string | undefined, environment: Readonly<Record<string, string | undefined>>): string | null {
  const key = nonEmpty(environment.WAYBILL_KEY)
  if (option === undefined && key !== undefined) return sound(key, 'WAYBILL_KEY')
  const file = option ?? nonEmpty(environment.WAYBILL_KEY_FILE)
  if (file === undefined) return null
  try {
    return sound(readFileSync(file, 'utf8').trim(), `the file ${file}`)
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`the key file ${file} cannot be read`)
  }
}

/** Anything else would not fit into the header, and the error about it would show it. */
function sound(key: string, source: string): string {
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(key)) return key
  throw new UsageError(`${source} does not hold a key`)
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
