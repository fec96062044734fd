#!/usr/bin/env bash
# About: @castore/core 2.4.2 with @castore/event-storage-adapter-in-memory 2.4.2.
# Expected: The next event of an aggregate has the next version: 3 straight after 1 is refused,
#   and so is 2 after 3.
# Seen: Both are taken. The aggregate is at version 3 with two events; when version 2 comes behind
#   it, the aggregate goes back to version 2.
# Meaning: A lost event goes unnoticed, and a late one is applied after its successor. Only a
#   version that is there already is refused.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @castore/core@2.4.2 @castore/event-storage-adapter-in-memory@2.4.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { EventStore, EventType } from '@castore/core'
import { InMemoryEventStorageAdapter } from '@castore/event-storage-adapter-in-memory'

const store = new EventStore({
  eventStoreId: 'ORDERS',
  eventTypes: [new EventType({ type: 'STEP' })],
  reducer: (state, event) => ({ aggregateId: event.aggregateId, version: event.version, count: (state?.count ?? 0) + 1 }),
  eventStorageAdapter: new InMemoryEventStorageAdapter(),
})
const push = (version) => store.pushEvent({ aggregateId: '1', version, type: 'STEP' })
await push(1)
await push(3)
const { aggregate } = await store.getAggregate('1')
console.log('after versions 1 and 3:', JSON.stringify(aggregate))
await push(2)
const late = (await store.getAggregate('1')).aggregate
console.log('after version 2 came last:', JSON.stringify(late))
assert.deepEqual(aggregate, { aggregateId: '1', version: 3, count: 2 })
assert.deepEqual(late, { aggregateId: '1', version: 2, count: 3 })
JS
node run.js
