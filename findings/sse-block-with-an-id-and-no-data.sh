#!/usr/bin/env bash
# About: eventsource 3.0.7, eventsource-client 1.2.0, launchdarkly-eventsource 2.2.0 and
#   event-source-plus 0.1.15, against eventsource 2.0.2.
# Expected: A block with an "id:" line moves the place of the client, with data or without (HTML
#   standard: an empty data buffer sets the last event id, and dispatches nothing).
# Seen: Without data the four newer clients forget the id: after a cut they ask without
#   Last-Event-ID. eventsource 2.0.2 asks with it.
# Meaning: A server that tells the place by blocks with an id alone loses, for these clients,
#   everything that happens between a cut and the reconnection before the first message.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts eventsource@3.0.7 eventsource2@npm:eventsource@2.0.2 eventsource-client@1.2.0 launchdarkly-eventsource@2.2.0 event-source-plus@0.1.15 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import http from 'node:http'
import { EventSourcePlus } from 'event-source-plus'
import { EventSource } from 'eventsource'
import EventSource2 from 'eventsource2'
import { createEventSource } from 'eventsource-client'
import LaunchDarkly from 'launchdarkly-eventsource'

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

const clients = {
  'eventsource 2.0.2': (url) => {
    const client = new EventSource2(url)
    client.onerror = () => {}
    return () => client.close()
  },
  'eventsource 3.0.7': (url) => {
    const client = new EventSource(url)
    return () => client.close()
  },
  'eventsource-client 1.2.0': (url) => {
    const client = createEventSource(url)
    return () => client.close()
  },
  'launchdarkly-eventsource 2.2.0': (url) => {
    const client = new LaunchDarkly.EventSource(url, { initialRetryDelayMillis: 10 })
    client.onerror = () => {}
    return () => client.close()
  },
  'event-source-plus 0.1.15': (url) => {
    const controller = new EventSourcePlus(url).listen({ onMessage() {} })
    return () => controller.abort()
  },
}
for (const [name, connect] of Object.entries(clients)) {
  const { asked } = await serve(['retry: 10\nid: 5\n\n', ': waiting\n\n'], connect, 1500)
  console.log(name.padEnd(31), 'asks after the cut with Last-Event-ID:', asked[1]?.id)
  assert.ok(asked.length >= 2)
  assert.equal(asked[1].id, name === 'eventsource 2.0.2' ? '5' : null)
}
process.exit()
JS
node run.js
