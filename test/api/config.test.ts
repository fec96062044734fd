import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { environmentSchema } from '../../src/config/environmentSchema.ts'
import { ConfigError, readConfig } from '../../src/config.ts'

function errorsOf(environment: Record<string, string>, toServe = false): string {
  try {
    readConfig(environment, { toServe })
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('the configuration', () => {
  test('of an empty environment is the defaults: loopback, port 8080, data in .waybill', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      dataDir: '.waybill',
      databaseUrl: null,
      allowUnsafeDurability: false,
      warnings: [],
      apiLimits: { bodyBytesMax: 786_432, jsonDepthMax: 32, pageSizeMax: 1_000, waitSMax: 60 },
      operationLimits: { dataBytesMax: 524_288, metadataBytesMax: 16_384 },
    })
  })

  test('says everything that is wrong at once', () => {
    const message = errorsOf({
      WAYBILL_PORT: '80a',
      WAYBILL_LOG_LEVEL: 'loud',
      DATABASE_URL: 'mysql://x',
      WAYBILL_PAGE_SIZE_MAX: '1001',
    })
    for (const name of ['WAYBILL_PORT', 'WAYBILL_LOG_LEVEL', 'DATABASE_URL', 'WAYBILL_PAGE_SIZE_MAX']) {
      expect(message).toContain(name)
    }
  })

  test('requests without a key are for this machine alone, or for all when the flag says so', () => {
    for (const host of ['0.0.0.0', '::', '192.168.0.1', 'example.org', '127.0.0.1.example.org']) {
      expect(readConfig({ WAYBILL_HOST: host })).toMatchObject({ host, anonymousAllowed: false })
      const told = readConfig({ WAYBILL_HOST: host, WAYBILL_ALLOW_UNAUTHENTICATED: 'true' })
      expect(told).toMatchObject({ host, anonymousAllowed: true })
    }
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
      expect(readConfig({ WAYBILL_HOST: host })).toMatchObject({ host, anonymousAllowed: true })
    }
  })

  test("the operator's key is long enough, comes from a file too, and is not shown when it is wrong", () => {
    const key = 'k'.repeat(32)
    expect(readConfig({})).toMatchObject({ operatorKey: null })
    expect(readConfig({ WAYBILL_OPERATOR_KEY: key })).toMatchObject({ operatorKey: key, warnings: [] })
    const message = errorsOf({ WAYBILL_OPERATOR_KEY: 'short-secret' })
    expect(message).toContain('WAYBILL_OPERATOR_KEY')
    expect(message).not.toContain('short-secret')
    expect(errorsOf({ WAYBILL_OPERATOR_KEY_FILE: '/nowhere/key' })).toContain('WAYBILL_OPERATOR_KEY_FILE')
  })

  test('a variable that nobody knows is pointed out, with the one that may be meant', () => {
    const { warnings } = readConfig({
      WAYBILL_DATADIR: 'x',
      WAYBILL_NONSENSE_AT_ALL: '1',
      WAYBILL_URL: 'x',
      OTHER: 'x',
    })
    expect(warnings).toEqual([
      'WAYBILL_DATADIR is set, and no setting of this version. Did you mean WAYBILL_DATA_DIR?',
      'WAYBILL_NONSENSE_AT_ALL is set, and no setting of this version.',
    ])
  })

  test('a variable that is empty counts as not set', () => {
    expect(readConfig({ WAYBILL_PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 8080, databaseUrl: null })
  })

  test('a secret can come from a file, and not from both', () => {
    const folder = mkdtempSync(join(tmpdir(), 'waybill-config-'))
    try {
      const file = join(folder, 'url')
      writeFileSync(file, 'postgres://u:secret@h/d\n')
      expect(readConfig({ DATABASE_URL_FILE: file }).databaseUrl).toBe('postgres://u:secret@h/d')
      expect(errorsOf({ DATABASE_URL_FILE: file, DATABASE_URL: 'postgres://h/d' })).toContain('DATABASE_URL_FILE')
      expect(errorsOf({ DATABASE_URL_FILE: join(folder, 'nowhere') })).toContain('cannot be read')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('EVENTSTORE_URL is a connection string of EventStoreDB', () => {
    expect(readConfig({}).eventStoreUrl).toBeNull()
    for (const url of [
      'esdb://a:2113?tls=false',
      'esdb+discover://u:p@cluster.example:2113',
      'kurrentdb://a:2113?tls=false',
      'kurrentdb+discover://u:p@cluster.example:2113',
    ]) {
      expect(readConfig({ EVENTSTORE_URL: url }).eventStoreUrl).toBe(url)
    }
    expect(errorsOf({ EVENTSTORE_URL: 'http://u:secret@x' })).toContain('EVENTSTORE_URL')
    expect(errorsOf({ EVENTSTORE_URL: 'http://u:secret@x' })).not.toContain('secret')
  })

  test('what is wrong is said without the secret', () => {
    expect(errorsOf({ DATABASE_URL: 'mysql://u:secret@h/d' })).not.toContain('secret')
  })

  test('bulk must not be able to fill the queue', () => {
    expect(errorsOf({ WAYBILL_QUEUED_COMMANDS_MAX: '100' })).toContain('WAYBILL_BULK_COMMANDS_TOTAL_MAX')
  })

  test('what is wrong only together is said beside what is wrong by itself, and each once', () => {
    const environment = {
      WAYBILL_PORT: '70000',
      WAYBILL_QUEUED_COMMANDS_MAX: '100',
      WAYBILL_HOST: '0.0.0.0',
      WAYBILL_DATA_DIR: join(tmpdir(), 'waybill-nowhere'),
      EVENTSTORE_URL: 'esdb://',
      WAYBILL_OPERATOR_KEY_FILE: '',
    }
    expect(errorsOf(environment, true).split('\n').slice(1)).toEqual([
      expect.stringContaining('WAYBILL_PORT: must be 0 to 65535'),
      expect.stringContaining('EVENTSTORE_URL: must be esdb://user:password@host:port?tls=true'),
      expect.stringContaining('WAYBILL_BULK_COMMANDS_TOTAL_MAX: must be below'),
      expect.stringContaining('WAYBILL_HOST: 0.0.0.0 can be reached from other machines, and there is no access key'),
    ])
  })

  test('beyond this machine a service needs a key; whether there is one in a database, only that can tell', () => {
    const folder = mkdtempSync(join(tmpdir(), 'waybill-config-'))
    try {
      const open = { WAYBILL_HOST: '0.0.0.0', WAYBILL_DATA_DIR: folder }
      expect(errorsOf(open, true)).toContain('there is no access key')
      expect(errorsOf(open)).toBe('')
      expect(errorsOf({ ...open, WAYBILL_OPERATOR_KEY: 'k'.repeat(32) }, true)).toBe('')
      expect(errorsOf({ ...open, WAYBILL_ALLOW_UNAUTHENTICATED: 'true' }, true)).toBe('')
      expect(errorsOf({ ...open, DATABASE_URL: 'postgres://h/d' }, true)).toBe('')
      mkdirSync(join(folder, 'postgres'))
      writeFileSync(join(folder, 'postgres', 'PG_VERSION'), '18\n')
      expect(errorsOf(open, true)).toBe('')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test.each([
    ['DATABASE_URL', 'postgres://u:p@h:5432/d?sslmode=require', ''],
    ['DATABASE_URL', 'postgresql://u@/d?host=/var/run/postgresql', ''],
    ['DATABASE_URL', 'postgres://u@%2Fvar%2Frun/d', ''],
    ['DATABASE_URL', 'postgres://u:se#cret@h/d', 'DATABASE_URL: must be postgres://user:password@host:port/database'],
    ['DATABASE_URL', 'postgres://u:p@h:99999/d', 'DATABASE_URL: must be postgres://user:password@host:port/database'],
    ['DATABASE_URL', 'postgres://h/d?sslrootcert=/nowhere', 'DATABASE_URL: the file of its option sslrootcert'],
    ['DATABASE_URL', 'postgres://h/d?sslmode=verify-full&ssl=true', ''],
    [
      'DATABASE_URL',
      'postgres://h/d?sslmode=verify_full',
      'DATABASE_URL: its option sslmode must be one of disable, prefer',
    ],
    ['DATABASE_URL', 'postgres://h/d?sslmode=allow', 'DATABASE_URL: its option sslmode must be one of disable, prefer'],
    ['DATABASE_URL', 'postgres://h/d?ssl=false', 'DATABASE_URL: its option ssl must be one of true, 1, 0, no-verify'],
    ['EVENTSTORE_URL', 'esdb://a:2113,b:2113,c?tls=true&nodePreference=leader', ''],
    ['EVENTSTORE_URL', 'esdb+discover://u:p@cluster.example:2113/?tls=false', ''],
    ['EVENTSTORE_URL', 'kurrentdb://a:2113,b:2113,c?tls=true&nodePreference=leader', ''],
    ['EVENTSTORE_URL', 'kurrentdb+discover://u:p@cluster.example:2113/?tls=false', ''],
    ['EVENTSTORE_URL', 'kurrentdb://a?tls=maybe', 'EVENTSTORE_URL: tls must be true or false'],
    ['EVENTSTORE_URL', 'esdb://a:21x13', 'EVENTSTORE_URL: must be esdb://'],
    ['EVENTSTORE_URL', 'esdb://a?tls=maybe', 'EVENTSTORE_URL: tls must be true or false'],
    ['EVENTSTORE_URL', 'esdb://a?tls', 'EVENTSTORE_URL: must be esdb://'],
    ['EVENTSTORE_URL', 'esdb://a?tls=true&tlsCAFile=/nowhere', 'EVENTSTORE_URL: the file of its option tlsCAFile'],
  ])('%s=%s: %s', (name, url, fault) => {
    const message = errorsOf({ [name]: url })
    if (fault === '') expect(message).toBe('')
    else expect(message).toContain(`\n  ${fault}`)
    expect(message).not.toMatch(/se#cret|nowhere/)
  })
})

test('docs/configuration.md says what the schema says', async () => {
  await expect(configurationDocument()).toMatchFileSnapshot('../../docs/configuration.md')
})

function configurationDocument(): string {
  const defaults: Record<string, string | number | boolean | undefined> = environmentSchema.parse({})
  const rows = Object.entries(environmentSchema.shape).map(([name, schema]) => {
    const { description = '', range } = schema.meta() ?? {}
    const byDefault = defaults[name] === undefined ? '' : `\`${defaults[name]}\``
    return `| \`${name}\` | ${byDefault} | ${String(range)} | ${description} |`
  })
  return `# Configuration

Environment variables configure Waybill. A variable that is empty counts as not set. If something is wrong, the service does not
start and lists everything that is wrong at once; it warns of a \`WAYBILL_\` variable that it does not know, since that may be
a typing error. Sizes are in bytes; names with \`_MS_\` are in milliseconds, those with \`_S_\` in seconds.

| variable | default | values | what it does |
| --- | --- | --- | --- |
${rows.join('\n')}

Limits that keys share are for all of them together: [while there is room](http.md#limits-that-keys-share) one key may use all of it.
What was sent to the log does not give way to another key: keep \`WAYBILL_QUEUED_COMMANDS_MAX\` above twice \`WAYBILL_BATCH_COMMANDS_MAX\`, as it
is by default.

The limits of names are part of the HTTP contract and cannot be changed: 128 characters for operation ids, statuses, services and
themes, 64 for names of pipelines and tracks, 255 for idempotency keys.
`
}
