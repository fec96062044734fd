#!/usr/bin/env bash
# About: event-source-plus 0.1.15.
# Expected: After "retry: 3000" a client waits three seconds before it connects again.
# Seen: It connects again within a tenth of a second, whatever the server says.
# Meaning: A server that drains, or is full, cannot spread its clients: they all come back at once
#   and go on coming.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts event-source-plus@0.1.15 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import http from 'node:http'
import { EventSourcePlus } from 'event-source-plus'

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

const body = 'retry: 3000\ndata: draining\n\n'
const { asked } = await serve(
  [body, body, body, ': waiting\n\n'],
  (url) => {
    const controller = new EventSourcePlus(url).listen({ onMessage() {} })
    return () => controller.abort()
  },
  2000,
)
const waits = asked.slice(1).map(({ at }, i) => at - asked[i].at - 50)
console.log('told to wait 3000 ms, waited:', waits.map((wait) => `${Math.max(0, wait)} ms`).join(', '))
assert.ok(waits.length === 3 && waits.every((wait) => wait < 1000))
process.exit()
JS
node run.js
