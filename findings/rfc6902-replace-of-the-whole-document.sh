#!/usr/bin/env bash
# About: rfc6902 5.4.0, JSON Patch by RFC 6902.
# Expected: The path "" names the whole document, so replace with that path puts the new document
#   in its place.
# Seen: The document stays as it was. Nothing is thrown: a MissingError lies in the array that
#   applyPatch returns.
# Meaning: A consumer that does not read the returned array keeps the old document after every
#   full replacement.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts rfc6902@5.4.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { applyPatch } from 'rfc6902'

const document = { status: 'queued' }
const answer = applyPatch(document, [{ op: 'replace', path: '', value: { status: 'done' } }])
console.log('document:', JSON.stringify(document))
console.log('returned:', answer.map((entry) => entry && entry.name))
assert.deepEqual(document, { status: 'queued' })
assert.equal(answer[0]?.name, 'MissingError')
JS
node run.js
