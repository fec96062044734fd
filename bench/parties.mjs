// The parties: how each is started, filled, counted and stopped. One PostgreSQL server serves both that need one, each
// with a database of its own: the settings, durability first of all, are the same by construction.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { accessHeader } from './load.mjs'

const startTimeoutMs = 60_000

export const parties = {
  bare: {
    title: 'bare Fastify route',
    script: 'bareService.mjs',
    environment: () => ({}),
    fill: async () => {},
    settle: async () => {},
    recorded: async () => null,
  },
  naive: {
    title: 'naive UPDATE service',
    script: 'naiveService.mjs',
    environment: (database) => ({ BENCH_DATABASE_URL: database }),
    prepare: (client) =>
      client.query(`CREATE TABLE operation (id text PRIMARY KEY, status text, service text, data json,
                      updated_at timestamptz, version bigint NOT NULL)`),
    fill: ({ client, operations }) =>
      client.query(
        `INSERT INTO operation SELECT 'bench-' || n, 'new', 'bench', '{}', now(), 0
                    FROM generate_series(0, $1::int - 1) AS n`,
        [operations],
      ),
    settle: async () => {},
    recorded: async ({ client }) => Number((await client.query('SELECT sum(version) AS n FROM operation')).rows[0].n),
  },
  waybill: {
    title: 'Waybill, projector on',
    script: '../dist/main.js',
    environment: (database, apiKey) => ({
      DATABASE_URL: database,
      WAYBILL_HOST: '127.0.0.1',
      WAYBILL_OPERATOR_KEY: apiKey ?? undefined,
      WAYBILL_OPERATOR_KEY_FILE: undefined,
    }),
    fill: ({ url, operations, access }) => openOperations(url, operations, access),
    settle: ({ url, access }) => waitForProjector(url, access),
    recorded: async ({ client }) =>
      Number((await client.query('SELECT count(*) AS n FROM waybill_log.events')).rows[0].n),
  },
}

/** Starts a party; `server` is the embedded PostgreSQL. `apiKey`: Waybill asks for it; null: for none. */
export async function startParty(name, server, operations, apiKey) {
  const party = parties[name]
  const database = await createDatabase(server, `bench_${name}`)
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  if (party.prepare !== undefined) await party.prepare(client)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const child = spawn(process.execPath, [fileURLToPath(new URL(party.script, import.meta.url))], {
    env: {
      ...process.env,
      NODE_ENV: 'production',
      BENCH_PORT: `${port}`,
      WAYBILL_PORT: `${port}`,
      ...party.environment(database, apiKey),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const running = {
    name,
    title: party.title,
    port,
    pid: child.pid,
    url,
    client,
    operations,
    access: accessHeader(apiKey),
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    await client.end()
  }
  try {
    await waitUntilReady(url, child)
    await party.fill(running)
    await party.settle(running)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...running,
    stop,
    /** Settles when all that was acknowledged is also where it is read (the read model). */
    settle: () => party.settle(running),
    /** How many reports are in the store, or null when the party has none. */
    recorded: () => party.recorded(running),
  }
}

async function createDatabase(server, name) {
  const admin = new pg.Client({ connectionString: server.connectionString })
  await admin.connect()
  try {
    await admin.query(`CREATE DATABASE ${name}`)
  } finally {
    await admin.end()
  }
  const url = new URL(server.connectionString)
  url.pathname = `/${name}`
  return url.href
}

async function openOperations(url, operations, access) {
  const batch = 2_000
  for (let from = 0; from < operations; from += batch) {
    const lines = Array.from({ length: Math.min(batch, operations - from) }, (_, index) =>
      JSON.stringify({ type: 'OpenOperation', operation: `bench-${from + index}`, pipeline: 'any' }),
    )
    const answer = await fetch(`${url}/v1/commands`, {
      method: 'POST',
      headers: { ...access, 'content-type': 'application/x-ndjson' },
      body: `${lines.join('\n')}\n`,
    })
    const refused = (await answer.text())
      .split('\n')
      .filter((line) => line !== '' && JSON.parse(line).httpStatus >= 300)
    if (answer.status !== 200 || refused.length > 0)
      throw new Error(`operations not opened: ${answer.status} ${refused[0]}`)
  }
}

async function waitForProjector(url, access) {
  for (let attempt = 0; attempt < 1_200; attempt += 1) {
    const stats = await (await fetch(`${url}/v1/stats`, { headers: access })).json()
    if (stats.position === stats.head) return
    await delay(25)
  }
  throw new Error('the projector did not catch up within 30 s')
}

async function waitUntilReady(url, child) {
  const deadline = performance.now() + startTimeoutMs
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`${url}: ended with ${child.exitCode}`)
    const ready = await fetch(`${url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await delay(50)
  }
  throw new Error(`${url} was not ready within ${startTimeoutMs} ms`)
}

async function freePort() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
