#!/usr/bin/env bash
# About: event-source-plus 0.1.15.
# Expected: Several "data:" lines of a message are one text, joined by line breaks (HTML
#   standard).
# Seen: Only the last line is delivered, and spaces at both ends of it are cut.
# Meaning: Documents that a server sends in several lines (indented JSON, logs, text) arrive as
#   their last line: for JSON a lone brace.
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

const { messages } = await serve(
  ['data: {\ndata:   "status": "done"\ndata: }\n\ndata:   indented  \n\n'],
  (url, heard) => {
    const controller = new EventSourcePlus(url).listen({ onMessage: (message) => heard(message.data) })
    return () => controller.abort()
  },
  500,
)
console.log('messages:', JSON.stringify(messages))
assert.deepEqual(messages, ['}', 'indented'])
process.exit()
JS
node run.js
