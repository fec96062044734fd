#!/usr/bin/env bash
# About: eventsource 3.0.7.
# Expected: event.lastEventId of a message without an id is that of the last message with one
#   (HTML standard), as Last-Event-ID of the reconnection still is.
# Seen: It is the empty string.
# Meaning: A consumer that stores event.lastEventId after every message, to go on from there after
#   a restart, goes back to the start as soon as a message without an id (a heartbeat, a notice)
#   comes.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts eventsource@3.0.7 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import http from 'node:http'
import { EventSource } from 'eventsource'

// Serves the given bodies in turn; every one but the last ends its connection.
async function serve(bodies, connect, milliseconds) {
  const asked = []
  const server = http.createServer((request, response) => {
    const body = bodies[Math.min(asked.length, bodies.length - 1)]
    asked.push({ id: request.headers['last-event-id'] ?? null, at: Date.now() })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(body)
    if (asked.length < bodies.length) setTimeout(() => response.end(), 50)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const messages = []
  const close = connect(`http://127.0.0.1:${server.address().port}/`, (message) => messages.push(message))
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  close()
  server.closeAllConnections()
  server.close()
  return { asked, messages }
}

const { asked, messages } = await serve(
  ['retry: 10\nid: 5\ndata: step\n\ndata: heartbeat\n\n', ': waiting\n\n'],
  (url, heard) => {
    const client = new EventSource(url)
    client.onmessage = (event) => heard([event.data, event.lastEventId])
    return () => client.close()
  },
  1500,
)
for (const [data, id] of messages) console.log(data.padEnd(10), 'lastEventId:', JSON.stringify(id))
console.log('asked after the cut with Last-Event-ID:', asked[1].id)
assert.deepEqual(messages, [
  ['step', '5'],
  ['heartbeat', ''],
])
assert.equal(asked[1].id, '5')
process.exit()
JS
node run.js
