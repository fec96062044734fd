#!/usr/bin/env bash
# About: eventsource 2.0.2, the last of its major version.
# Expected: A message whose end has not arrived when the connection is cut is thrown away (HTML
#   standard), and its id with it.
# Seen: The half message stays in memory and is put in front of the first message after the
#   reconnection. The client asks for what comes after the id of the half message.
# Meaning: One message is delivered as nonsense (two halves glued) and one is lost for good: the
#   server takes it for delivered.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts eventsource@2.0.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import http from 'node:http'
import EventSource from 'eventsource'

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
  ['retry: 10\nid: 5\ndata: {"n":5}\n\nid: 6\ndata: {"n":6,\n', 'id: 7\ndata: {"n":7}\n\n'],
  (url, heard) => {
    const client = new EventSource(url)
    client.onmessage = (event) => heard([event.lastEventId, event.data])
    client.onerror = () => {}
    return () => client.close()
  },
  1500,
)
console.log('asked after the cut with Last-Event-ID:', asked[1].id)
for (const message of messages) console.log('message:', JSON.stringify(message))
assert.equal(asked[1].id, '6')
assert.deepEqual(messages, [
  ['5', '{"n":5}'],
  ['7', '{"n":6,\n{"n":7}'],
])
process.exit()
JS
node run.js
