#!/usr/bin/env bash
# About: JSONStream 1.3.5, a streaming JSON parser.
# Expected: JSONStream.parse("*") gives every entry of a list, null among them.
# Seen: Entries that are null are left out without a word; 0, false and "" come.
# Meaning: Entries move up: the third reading becomes the second, and a count of the stream is not
#   the count of the list.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts JSONStream@1.3.5 jsonparse@1.3.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import JSONStream from 'JSONStream'

const entries = []
const stream = JSONStream.parse('*')
stream.on('data', (entry) => entries.push(entry))
await new Promise((resolve) => stream.on('end', resolve).end('[1, null, 0, null, "", 5]'))
console.log('sent: [1, null, 0, null, "", 5]')
console.log('got: ', JSON.stringify(entries))
assert.deepEqual(entries, [1, 0, '', 5])
JS
node run.js
