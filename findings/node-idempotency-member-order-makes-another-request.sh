#!/usr/bin/env bash
# About: @node-idempotency/core 1.0.11 with its memory storage 1.0.2.
# Expected: A repeat with the same key and the same JSON gets the recorded answer, whatever the
#   order of the members (JSON objects have none).
# Seen: If the members come in another order the repeat is refused: the key "is already used".
# Meaning: Senders whose maps have no fixed order (Go, older Java and PHP arrays built anew)
#   cannot repeat a request after a time-out, which is what the key is for.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @node-idempotency/core@1.0.11 @node-idempotency/storage-adapter-memory@1.0.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { Idempotency } from '@node-idempotency/core'
import { MemoryStorageAdapter } from '@node-idempotency/storage-adapter-memory'

const idempotency = new Idempotency(new MemoryStorageAdapter(), {})
const request = (body) => ({ method: 'POST', path: '/orders', headers: { 'idempotency-key': 'k1' }, body })
const first = request({ item: 'a', quantity: 2 })
await idempotency.onRequest(first)
await idempotency.onResponse(first, { statusCode: 201, body: { id: 1 } })
const repeat = (body) => idempotency.onRequest(request(body)).catch((error) => error.message)
const same = await repeat({ item: 'a', quantity: 2 })
const turned = await repeat({ quantity: 2, item: 'a' })
console.log('same order: ', JSON.stringify(same))
console.log('other order:', JSON.stringify(turned))
assert.equal(same.statusCode, 201)
assert.equal(turned, 'Idempotency-Key is already used')
process.exit()
JS
node run.js
