#!/usr/bin/env bash
# About: jsonparse 1.3.1, the parser inside of JSONStream 1.3.5.
# Expected: A number of JSON arrives as a number, or long integers always arrive as strings, so
#   that no digit is lost.
# Seen: A positive integer that a double cannot hold becomes a string; a negative one, and a
#   decimal one, becomes a rounded number.
# Meaning: The type of a field depends on its value: ids compare unequal to themselves, and
#   refunds (negative) lose the digits that payments keep.
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
const text = '[9007199254740992, 9007199254740993, -9007199254740993, 9007199254740993.5]'
await new Promise((resolve) => stream.on('end', resolve).end(text))
console.log('sent:', text)
console.log('got: ', JSON.stringify(entries))
assert.deepEqual(entries, [9007199254740992, '9007199254740993', -9007199254740992, 9007199254740994])
JS
node run.js
