#!/usr/bin/env bash
# About: canonical-json 0.4.0, against safe-stable-stringify 2.5.0.
# Expected: Canonical JSON orders members by their names as text, as RFC 8785 does: "10" comes
#   before "9".
# Seen: Members whose names are whole numbers come first and in numeric order: "9" before "10".
# Meaning: Hashes and signatures of documents with numbered members (years, positions) differ from
#   those that RFC 8785 gives, though all other documents agree: the mistake is found late.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts canonical-json@0.4.0 safe-stable-stringify@2.5.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import canonical from 'canonical-json'
import { stringify } from 'safe-stable-stringify'

const document = { b: 1, 9: 'nine', 10: 'ten' }
console.log('canonical-json:', canonical(document))
console.log('sorted as text:', stringify(document))
assert.equal(canonical(document), '{"9":"nine","10":"ten","b":1}')
assert.equal(stringify(document), '{"10":"ten","9":"nine","b":1}')
JS
node run.js
