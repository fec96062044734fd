#!/usr/bin/env bash
# About: jsonpointer 5.0.1 and json-pointer 0.6.2, JSON Pointer by RFC 6901.
# Expected: Setting /orders/2026/status in an empty document makes objects on the way, with a
#   member named 2026.
# Seen: Both make a list and put the value at index 2026: as JSON it has 2,026 nulls before it.
# Meaning: Documents keyed by number (years, order numbers) become lists as large as their largest
#   key, and readers that expect an object find none.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts jsonpointer@5.0.1 json-pointer@0.6.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import jsonPointer from 'json-pointer'
import jsonpointer from 'jsonpointer'

for (const [name, set] of [
  ['jsonpointer', jsonpointer.set],
  ['json-pointer', jsonPointer.set],
]) {
  const document = {}
  set(document, '/orders/2026/status', 'done')
  const text = JSON.stringify(document)
  console.log(name, Array.isArray(document.orders), document.orders.length, 'entries,', text.length, 'characters')
  assert.ok(Array.isArray(document.orders))
  assert.equal(text.match(/null/g).length, 2026)
}
JS
node run.js
