#!/usr/bin/env bash
# About: nats-server 2.9.10 with JetStream, and nats 2.29.3 for Node.js.
# Expected: Nats-Msg-Id keeps a repeat of a message out. Two messages on two subjects are two
#   messages, also if each subject counts its ids from 1.
# Seen: The id counts in the whole stream: the second message is acknowledged, with "duplicate",
#   and is not stored.
# Meaning: Senders that number their messages by themselves lose each other's messages; the
#   acknowledgement looks like success to everyone who does not read its flag.
# Needs: Debian 12 with its package lists (apt-get update).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts nats@2.29.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import net from 'node:net'
import { connect } from 'nats'

const port = await new Promise((resolve) => {
  const probe = net.createServer().listen(0, '127.0.0.1', () => {
    const free = probe.address().port
    probe.close(() => resolve(free))
  })
})
const server = spawn('./server/usr/sbin/nats-server', ['-js', '-sd', './data', '-a', '127.0.0.1', '-p', String(port)], {
  stdio: 'ignore',
})
try {
  const client = await connect({ servers: `127.0.0.1:${port}`, waitOnFirstConnect: true, reconnectTimeWait: 100 })
  const manager = await client.jetstreamManager()
  await manager.streams.add({ name: 'OPERATIONS', subjects: ['operations.>'] })
  const stream = client.jetstream()
  const first = await stream.publish('operations.pack', 'packed', { msgID: '1' })
  const second = await stream.publish('operations.send', 'sent', { msgID: '1' })
  const { messages } = (await manager.streams.info('OPERATIONS')).state
  console.log('operations.pack:', JSON.stringify(first))
  console.log('operations.send:', JSON.stringify(second))
  console.log('stored messages:', messages)
  assert.equal(first.duplicate, false)
  assert.equal(second.duplicate, true)
  assert.equal(messages, 1)
  await client.close()
} finally {
  server.kill()
}
process.exit()
JS
apt-get download nats-server=2.9.10-1+b3 >/dev/null 2>&1
dpkg -x nats-server_*.deb server
node run.js
