#!/usr/bin/env bash
# About: node-object-hash 3.1.1 with its defaults.
# Expected: Two requests with different JSON have different hashes.
# Seen: The order of a list is ignored, 1 equals "1" and true, "a,b" in a list equals "a" and "b".
# Meaning: As the fingerprint that tells a repeat from another request under the same idempotency
#   key, it takes a changed request for a repeat.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts node-object-hash@3.1.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import nodeObjectHash from 'node-object-hash'

const { hash } = nodeObjectHash.hasher()
for (const [one, other] of [
  [{ steps: ['pack', 'send'] }, { steps: ['send', 'pack'] }],
  [{ quantity: 1 }, { quantity: '1' }],
  [{ quantity: 1 }, { quantity: true }],
  [{ tags: ['a,b'] }, { tags: ['a', 'b'] }],
]) {
  const equal = hash(one) === hash(other)
  console.log(equal ? 'same hash:' : 'different:', JSON.stringify(one), JSON.stringify(other))
  assert.ok(equal)
}
assert.notEqual(hash({ quantity: 1 }), hash({ quantity: 2 }))
JS
node run.js
