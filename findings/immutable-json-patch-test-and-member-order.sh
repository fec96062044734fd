#!/usr/bin/env bash
# About: immutable-json-patch 6.0.3, JSON Patch by RFC 6902.
# Expected: RFC 6902 compares objects in "test" without regard to the order of their members.
# Seen: The "test" fails if the members come in another order, and the whole patch with it.
# Meaning: Optimistic checks fail for documents that have been through a store that orders
#   members, such as jsonb of PostgreSQL; a sender that retries never gets through.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts immutable-json-patch@6.0.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { immutableJSONPatch } from 'immutable-json-patch'

const document = { owner: { name: 'Ada', team: 'north' } }
const patch = (value) => [
  { op: 'test', path: '/owner', value },
  { op: 'add', path: '/checked', value: true },
]
const attempt = (value) => {
  try {
    return JSON.stringify(immutableJSONPatch(document, patch(value)))
  } catch (error) {
    return error.message
  }
}
const same = attempt({ name: 'Ada', team: 'north' })
const turned = attempt({ team: 'north', name: 'Ada' })
console.log('same order: ', same)
console.log('other order:', turned)
assert.match(same, /"checked":true/)
assert.match(turned, /Test failed/)
JS
node run.js
