#!/usr/bin/env bash
# About: fast-json-patch 3.1.1, JSON Patch by RFC 6902.
# Expected: Applying a patch reads it. The patch can be stored, or applied to a second document,
#   afterwards.
# Seen: A value that an "add" puts in is the very object of the patch: later operations write into
#   the patch. It happens with mutateDocument set to false too.
# Meaning: A log that applies first and stores then stores another patch than the one it was sent:
#   here a replay fills a list with two entries where one was sent.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts fast-json-patch@3.1.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import fastJsonPatch from 'fast-json-patch'

const patch = [
  { op: 'add', path: '/lines', value: [] },
  { op: 'add', path: '/lines/-', value: 'first' },
]
const sent = JSON.stringify(patch)
const one = fastJsonPatch.applyPatch({}, patch, true, false).newDocument
const stored = JSON.stringify(patch)
const two = fastJsonPatch.applyPatch({}, JSON.parse(stored), true, false).newDocument
console.log('patch as sent:  ', sent)
console.log('patch as stored:', stored)
console.log('first document: ', JSON.stringify(one))
console.log('replayed:       ', JSON.stringify(two))
assert.notEqual(stored, sent)
assert.deepEqual(one, { lines: ['first'] })
assert.deepEqual(two, { lines: ['first', 'first'] })
JS
node run.js
