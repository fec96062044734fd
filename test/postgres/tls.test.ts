// What each `sslmode` does, against a server with a certificate and one without: as docs/operations.md says.
import { spawnSync } from 'node:child_process'
import { chown, copyFile, mkdtemp, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { databaseUrlFaults } from '../../src/config/storeUrls.ts'
import { createPool } from '../../src/postgres/connection.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const [, section = ''] = page.split('### TLS to the database')
const [, table = ''] = section.split('| --- | --- | --- |')
const rows = [...table.matchAll(/^\| (?:`([a-z-]+)`|none) \| ([^|]+) \|/gm)].map(([, mode, means = '']) => ({
  mode: mode ?? null,
  means: /^(?:never TLS|TLS, checked in full|TLS, not checked|refused at the start)/.exec(means)?.[0] ?? means,
}))

test('the page says something of each word that the configuration takes, and of none that it takes for refused', () => {
  expect(rows.map(({ mode }) => mode)).toEqual([
    null,
    'disable',
    'allow',
    'prefer',
    'require',
    'verify-ca',
    'verify-full',
    'no-verify',
  ])
  for (const { mode, means } of rows) {
    const faults = databaseUrlFaults(`postgres://h/d${mode === null ? '' : `?sslmode=${mode}`}`)
    expect([mode, faults.length > 0]).toEqual([mode, means === 'refused at the start'])
  }
})

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

describe.skipIf(!hasOpenssl)('with a certificate for the name localhost, signed by itself', () => {
  let server: EmbeddedPostgres
  let certificate: string
  beforeAll(async () => {
    const folder = await mkdtemp(join(inject('dataDirectory'), 'tls-'))
    certificate = join(folder, 'server.crt')
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'server.key']
    const named = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const made = spawnSync('openssl', ['req', '-x509', ...key, '-out', 'server.crt', '-days', '2', ...named], {
      cwd: folder,
      encoding: 'utf8',
    })
    if (made.status !== 0) throw new Error(made.stderr)
    const dataDir = join(folder, 'server')
    // The first start makes the folder of the cluster, where the server looks for these files.
    await (await startEmbeddedPostgres({ dataDir, settings: { min_wal_size: '80MB' } })).stop()
    const cluster = join(dataDir, 'postgres')
    const owner = await stat(cluster)
    for (const name of ['server.crt', 'server.key']) {
      await copyFile(join(folder, name), join(cluster, name))
      if (process.getuid?.() === 0) await chown(join(cluster, name), owner.uid, owner.gid)
    }
    server = await startEmbeddedPostgres({ dataDir, settings: { min_wal_size: '80MB', ssl: 'on' } })
  })
  afterAll(() => server?.stop())

  /** Whether a session by these options is encrypted, or why there is none. */
  async function session(connectionString: string, host: string, options: Record<string, string | null>) {
    const url = new URL(connectionString)
    url.hostname = host
    for (const [name, value] of Object.entries(options)) if (value !== null) url.searchParams.set(name, value)
    const pool = createPool({ connectionString: url.href, max: 1 })
    try {
      const { rows } = await pool.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      return rows[0].ssl === true ? 'TLS' : 'no TLS'
    } catch (error) {
      return (error as Error).message
    } finally {
      await pool.end()
    }
  }

  const without = /does not support SSL/
  const expected: Record<string, { plain: RegExp; unknown: RegExp; known: RegExp; anotherName: RegExp }> = {
    'never TLS': { plain: /^no TLS$/, unknown: /^no TLS$/, known: /^no TLS$/, anotherName: /^no TLS$/ },
    'TLS, checked in full': { plain: without, unknown: /self-signed/, known: /^TLS$/, anotherName: /does not match/ },
    'TLS, not checked': { plain: without, unknown: /^TLS$/, known: /^TLS$/, anotherName: /^TLS$/ },
  }
  const tried = rows.filter(({ means }) => means !== 'refused at the start')

  test.each(tried)('sslmode=$mode: $means', async ({ mode, means }) => {
    const { plain, unknown, known, anotherName } = expected[means] ?? expect.fail(`The page says ${means}`)
    const sslmode = { sslmode: mode }
    expect(await session(inject('postgresConnectionString'), '127.0.0.1', sslmode)).toMatch(plain)
    expect(await session(server.connectionString, 'localhost', sslmode)).toMatch(unknown)
    // A file alone asks for TLS.
    const trusting = { ...sslmode, sslrootcert: mode === null ? null : certificate }
    expect(await session(server.connectionString, 'localhost', trusting)).toMatch(known)
    expect(await session(server.connectionString, '127.0.0.1', trusting)).toMatch(anotherName)
  })

  test('as libpq takes them, they are weaker', async () => {
    const weak = { uselibpqcompat: 'true', sslmode: 'require' }
    expect(await session(server.connectionString, 'localhost', weak)).toBe('TLS')
    const ofAuthority = { uselibpqcompat: 'true', sslmode: 'verify-ca', sslrootcert: certificate }
    expect(await session(server.connectionString, '127.0.0.1', ofAuthority)).toBe('TLS')
  })
})
