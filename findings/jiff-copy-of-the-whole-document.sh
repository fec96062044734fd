#!/usr/bin/env bash
# About: jiff 0.7.3, JSON Patch by RFC 6902.
# Expected: A "copy" whose "from" is "" copies the whole document to the path that is named.
# Seen: Nothing happens and nothing is reported: the new member is missing.
# Meaning: A patch that keeps a copy of the document inside of itself, before it changes, keeps
#   none.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts jiff@0.7.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import jiff from 'jiff'

const got = jiff.patch([{ op: 'copy', from: '', path: '/before' }, { op: 'replace', path: '/status', value: 'done' }], {
  status: 'working',
})
console.log('document:', JSON.stringify(got))
assert.equal(JSON.stringify(got), '{"status":"done"}')
JS
node run.js
