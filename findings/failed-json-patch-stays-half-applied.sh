#!/usr/bin/env bash
# About: fast-json-patch 3.1.1 and rfc6902 5.4.0, JSON Patch by RFC 6902, called as their guides
#   begin.
# Expected: A patch applies as a whole or not at all (RFC 5789): after a "test" that fails, the
#   document is as before.
# Seen: Every operation before the one that failed stays in the document. rfc6902 does not even
#   throw, and goes on with the operations after the failed test.
# Meaning: A guard at the end of a patch guards nothing, and with rfc6902 not even one at its
#   start: give them a copy and keep the original.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts fast-json-patch@3.1.1 rfc6902@5.4.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import fastJsonPatch from 'fast-json-patch'
import { applyPatch } from 'rfc6902'

const patch = [
  { op: 'replace', path: '/status', value: 'done' },
  { op: 'test', path: '/version', value: 7 },
  { op: 'add', path: '/closed', value: true },
]
const first = { status: 'working', version: 8 }
let thrown = ''
try {
  fastJsonPatch.applyPatch(first, patch)
} catch (error) {
  thrown = error.name
}
const second = { status: 'working', version: 8 }
const returned = applyPatch(second, patch)
console.log('fast-json-patch:', thrown, JSON.stringify(first))
console.log('rfc6902:        ', returned[1]?.name, JSON.stringify(second))
assert.equal(thrown, 'TEST_OPERATION_FAILED')
assert.deepEqual(first, { status: 'done', version: 8 })
assert.equal(returned[1]?.name, 'TestError')
assert.deepEqual(second, { status: 'done', version: 8, closed: true })
JS
node run.js
