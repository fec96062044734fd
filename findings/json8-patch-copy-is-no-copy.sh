#!/usr/bin/env bash
# About: json8-patch 1.0.6, JSON Patch by RFC 6902.
# Expected: After "copy" the two places are independent: a change of one leaves the other.
# Seen: Both places hold one object, so the change of the copy changes the original as well.
# Meaning: A patch that keeps the old state before it writes the new one overwrites what it meant
#   to keep.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts json8-patch@1.0.6 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import json8Patch from 'json8-patch'

const { doc } = json8Patch.apply({ current: { status: 'working' } }, [
  { op: 'copy', from: '/current', path: '/previous' },
  { op: 'replace', path: '/current/status', value: 'done' },
])
console.log('document:', JSON.stringify(doc))
assert.deepEqual(doc, { current: { status: 'done' }, previous: { status: 'done' } })
JS
node run.js
