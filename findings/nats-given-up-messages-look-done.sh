#!/usr/bin/env bash
# About: nats-server 2.9.10 with JetStream, and nats 2.29.3 for Node.js.
# Expected: A message that was given up after max_deliver tries is seen somewhere: as pending, as
#   unacknowledged, or in a stream of dead letters.
# Seen: The consumer reports nothing pending and nothing unacknowledged, as one that is done. The
#   message is still in the stream and comes no more.
# Meaning: A dashboard of the backlog shows zero while work was dropped. Only the acknowledgement
#   floor, which stays behind, tells; watch that or the advisories.
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
import { AckPolicy, connect, nanos } from 'nats'

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
  await manager.consumers.add('OPERATIONS', {
    durable_name: 'worker',
    ack_policy: AckPolicy.Explicit,
    max_deliver: 2,
    ack_wait: nanos(200),
  })
  await stream.publish('operations.pack', 'never acknowledged')
  const worker = await stream.consumers.get('OPERATIONS', 'worker')
  let deliveries = 0
  for (let i = 0; i < 4; i++) if (await worker.next({ expires: 1000 })) deliveries++
  const info = await manager.consumers.info('OPERATIONS', 'worker')
  const { messages } = (await manager.streams.info('OPERATIONS')).state
  console.log('deliveries:', deliveries, ' stored:', messages)
  console.log('pending:', info.num_pending, ' unacknowledged:', info.num_ack_pending, ' floor:', info.ack_floor.stream_seq)
  assert.equal(deliveries, 2)
  assert.deepEqual([info.num_pending, info.num_ack_pending, info.ack_floor.stream_seq, messages], [0, 0, 0, 1])
  await client.close()
} finally {
  server.kill()
}
process.exit()
JS
apt-get download nats-server=2.9.10-1+b3 >/dev/null 2>&1
dpkg -x nats-server_*.deb server
node run.js
