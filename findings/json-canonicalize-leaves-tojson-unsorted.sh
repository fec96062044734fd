#!/usr/bin/env bash
# About: json-canonicalize 3.0.1, canonical JSON by RFC 8785.
# Expected: The text depends on the JSON of a value alone, so it does not change when the JSON is
#   read and made canonical again.
# Seen: What an object with toJSON answers is written in the order in which it was built, nested
#   objects too.
# Meaning: A sender that hashes its own objects (money, ids, dates with parts: classes with
#   toJSON) and a receiver that hashes the JSON it got never agree.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts json-canonicalize@3.0.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { canonicalize } from 'json-canonicalize'

class Money {
  toJSON() {
    return { currency: 'EUR', amount: 5 }
  }
}
const sent = canonicalize({ price: new Money() })
const received = canonicalize(JSON.parse(sent))
console.log('sender:  ', sent)
console.log('receiver:', received)
assert.equal(sent, '{"price":{"currency":"EUR","amount":5}}')
assert.equal(received, '{"price":{"amount":5,"currency":"EUR"}}')
JS
node run.js
