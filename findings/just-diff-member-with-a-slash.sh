#!/usr/bin/env bash
# About: just-diff 6.0.2, with its converter for JSON Patch; the patch is applied by
#   fast-json-patch 3.1.1.
# Expected: A member named "a/b" is written as /a~1b in a JSON Pointer (RFC 6901).
# Seen: The converter writes /a/b, which is another member: b inside of a.
# Meaning: The change goes to the wrong field and the right one keeps its old value; no step
#   reports an error.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts just-diff@6.0.2 fast-json-patch@3.1.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import fastJsonPatch from 'fast-json-patch'
import { diff, jsonPatchPathConverter } from 'just-diff'

const before = { 'a/b': 1, a: { b: 2 } }
const wanted = { 'a/b': 5, a: { b: 2 } }
const patch = diff(before, wanted, jsonPatchPathConverter)
const got = fastJsonPatch.applyPatch(structuredClone(before), patch, true).newDocument
console.log('patch: ', JSON.stringify(patch))
console.log('wanted:', JSON.stringify(wanted))
console.log('got:   ', JSON.stringify(got))
assert.deepEqual(got, { 'a/b': 1, a: { b: 5 } })
JS
node run.js
