#!/usr/bin/env bash
# About: json-merge-patch 1.0.2, merge patches by RFC 7396.
# Expected: Comparing a document with an equal one gives the empty patch {}, and applying that
#   changes nothing.
# Seen: generate() answers undefined, and apply(document, undefined) answers undefined: the
#   document is gone.
# Meaning: A save without changes that is passed on as it comes deletes the document it was meant
#   to keep. Send {} in its place.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts json-merge-patch@1.0.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import mergePatch from 'json-merge-patch'

const before = { id: 'op-1', status: 'working' }
const patch = mergePatch.generate(before, { id: 'op-1', status: 'working' })
const after = mergePatch.apply(structuredClone(before), patch)
console.log('patch of a save without changes:', patch)
console.log('document after it is applied:   ', after)
assert.equal(patch, undefined)
assert.equal(after, undefined)
JS
node run.js
