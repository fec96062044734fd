#!/usr/bin/env bash
# About: eventstore 1.15.5 (event store for Node.js) with its default store, in memory.
# Expected: Two writers load a stream at revision 0 and both commit: the second gets a
#   ConcurrencyError.
# Seen: Both commits succeed, and the stream holds two events with the same revision.
# Meaning: Tests against the default store pass though nothing guards against lost updates, and
#   whoever resumes by revision skips one of the two.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts eventstore@1.15.5 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { promisify } from 'node:util'
import eventstore from 'eventstore'

const store = eventstore()
await promisify(store.init.bind(store))()
const load = promisify(store.getEventStream.bind(store))
const commit = (stream) => promisify(stream.commit.bind(stream))()
const opened = await load('order-1')
opened.addEvent({ step: 'opened' })
await commit(opened)
const one = await load('order-1')
const other = await load('order-1')
one.addEvent({ step: 'paid' })
other.addEvent({ step: 'cancelled' })
await commit(one)
await commit(other)
const events = (await load('order-1')).events.map((event) => [event.streamRevision, event.payload.step])
console.log('events:', JSON.stringify(events))
assert.deepEqual(events, [
  [0, 'opened'],
  [1, 'paid'],
  [1, 'cancelled'],
])
process.exit()
JS
node run.js
