#!/usr/bin/env bash
# About: fastify-sse-v2 4.2.2 with fastify 5.6.2, read by eventsource 3.0.7.
# Expected: reply.sse({ id, data }) sends an event with that id and that data, also if the data is
#   "" or the id is 0.
# Seen: With empty data only the id is written, which no client takes for an event; the id 0 is
#   not written at all.
# Meaning: Events that carry no text (a signal, an emptied field) never arrive, and a client
#   cannot resume from the first position of a log that counts from 0.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts fastify-sse-v2@4.2.2 fastify@5.6.2 eventsource@3.0.7 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { EventSource } from 'eventsource'
import fastify from 'fastify'
import { FastifySSEPlugin } from 'fastify-sse-v2'

const app = fastify()
app.register(FastifySSEPlugin)
app.get('/', (_request, reply) => {
  reply.sse({ id: 0, data: 'first' })
  reply.sse({ id: '1', event: 'message', data: '' })
  reply.sse({ id: '2', data: 'third' })
})
await app.listen({ port: 0, host: '127.0.0.1' })
const messages = []
const client = new EventSource(`http://127.0.0.1:${app.server.address().port}/`)
client.onmessage = (event) => messages.push([event.lastEventId, event.data])
await new Promise((resolve) => setTimeout(resolve, 700))
client.close()
console.log('sent:', JSON.stringify([['0', 'first'], ['1', ''], ['2', 'third']]))
console.log('got: ', JSON.stringify(messages))
assert.deepEqual(messages, [
  ['', 'first'],
  ['2', 'third'],
])
process.exit()
JS
node run.js
