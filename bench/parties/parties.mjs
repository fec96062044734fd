// The parties that speak HTTP: how each is started, filled, counted and stopped. One PostgreSQL server serves those that
// need one, each with a database of its own: the settings, durability first of all, are the same by construction.
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { accessHeader } from '../load/access.mjs'
import { sendCommands } from '../load/bulk.mjs'
import { createDatabase } from './databases.mjs'
import { startProcess } from './process.mjs'

const catchUpMsMax = 3_600_000

export const parties = {
  bare: {
    title: 'bare Fastify route',
    script: './bareService.mjs',
    environment: () => ({}),
    fill: async () => {},
    settle: async () => {},
    mark: async () => null,
  },
  naive: {
    title: 'naive UPDATE service',
    script: './naiveService.mjs',
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
    mark: ({ client }) => countOf(client, 'SELECT sum(version) AS n FROM operation'),
    recordedSince: async ({ client }, mark) =>
      (await countOf(client, 'SELECT sum(version) AS n FROM operation')) - mark,
  },
  waybill: {
    title: 'Waybill, projector on',
    script: '../../dist/main.js',
    environment: (database, apiKey) => ({
      DATABASE_URL: database,
      EVENTSTORE_URL: undefined,
      WAYBILL_HOST: '127.0.0.1',
      WAYBILL_OPERATOR_KEY: apiKey ?? undefined,
      WAYBILL_OPERATOR_KEY_FILE: undefined,
    }),
    fill: ({ url, operations, access }) => openOperations(url, operations, access),
    settle: (running) => waitForProjector(running),
    mark: ({ client }) => countOf(client, 'SELECT position AS n FROM waybill_log.log_head'),
    recordedSince: ({ client }, mark) =>
      countOf(client, `SELECT count(*) AS n FROM waybill_log.events WHERE position > ${mark}`),
  },
}

/**
 * Starts a party. `operations`: how many are opened. `database`: one that is there (default: a new one on `server`).
 * `apiKey`: Waybill asks for it; null: for none. `older`: title and script of the party of that name (olderBuild.mjs).
 */
export async function startParty(name, { server, operations, apiKey = null, database, memory, older }) {
  const party = name === 'older' ? { ...parties.waybill, ...older } : parties[name]
  const connectionString = database ?? (await createDatabase(server, name))
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  if (party.prepare !== undefined && database === undefined) await party.prepare(client)
  const start = () =>
    startProcess({
      script: party.script,
      environment: party.environment(connectionString, apiKey),
      ...(name === 'waybill' ? { memory } : {}),
    })
  let service = await start()
  const running = {
    name,
    title: party.title,
    client,
    operations,
    apiKey,
    access: accessHeader(apiKey),
    get url() {
      return service.url
    },
    get port() {
      return service.port
    },
    get pid() {
      return service.pid
    },
    /** From spawning the process to its first 200 from /readyz. */
    get readyMs() {
      return service.readyMs
    },
    /** Settles when all that was acknowledged is also where it is read (the read model). */
    settle: () => party.settle(running),
    /** What the store holds now, for `recordedSince`; null when the party has none. */
    mark: () => party.mark(running),
    /** How many reports were stored since; with Waybill, how many events. */
    recordedSince: (mark) => party.recordedSince(running, mark),
    async restart() {
      await service.stop()
      service = await start()
    },
    async stop() {
      await service.stop()
      await client.end()
    },
  }
  try {
    if (operations > 0) await party.fill(running)
    await party.settle(running)
  } catch (error) {
    await running.stop()
    throw error
  }
  return running
}

/** Several, each with an own database on `server`. */
export async function startParties(names, options) {
  const outcomes = await Promise.allSettled(names.map((name) => startParty(name, options)))
  const failed = outcomes.find(({ status }) => status === 'rejected')
  const started = outcomes.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
  if (failed === undefined) return started
  await stopParties(started)
  throw failed.reason
}

export async function stopParties(started) {
  await Promise.all(started.map((party) => party.stop()))
}

async function countOf(client, query) {
  return Number((await client.query(query)).rows[0].n)
}

async function openOperations(url, operations, access) {
  const batch = 1_000
  for (let from = 0; from < operations; from += batch) {
    const lines = Array.from({ length: Math.min(batch, operations - from) }, (_, index) =>
      JSON.stringify({ type: 'OpenOperation', operation: `bench-${from + index}`, pipeline: 'any' }),
    )
    await sendCommands(url, lines, access)
  }
}

async function waitForProjector({ client }) {
  const deadline = performance.now() + catchUpMsMax
  while (performance.now() < deadline) {
    if ((await behind(client)) === 0) return
    await delay(10)
  }
  throw new Error(`the projector did not catch up within ${catchUpMsMax / 1_000} s`)
}

/** Events of the log that the rows of the read model do not have yet. */
export async function behind(client) {
  return countOf(client, 'SELECT h.position - c.position AS n FROM waybill_log.log_head h, waybill_read.checkpoints c')
}
