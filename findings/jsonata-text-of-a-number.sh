#!/usr/bin/env bash
# About: jsonata 2.2.2, a query and mapping language for JSON.
# Expected: $string and & write a number as JSON writes it.
# Seen: Numbers that are not whole are cut to 15 digits, although a double holds up to 17.
# Meaning: A time in seconds with microseconds loses its last digit when it is put into a key or a
#   message, so two different times give one key.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts jsonata@2.2.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import jsonata from 'jsonata'

const document = { at: 1700000000.123456 }
const asNumber = JSON.stringify(await jsonata('at').evaluate(document))
const asText = await jsonata('"key-" & at').evaluate(document)
const inside = await jsonata('$string($)').evaluate(document)
console.log(asNumber, asText, inside)
assert.equal(asNumber, '1700000000.123456')
assert.equal(asText, 'key-1700000000.12346')
assert.equal(inside, '{"at":1700000000.12346}')
JS
node run.js
