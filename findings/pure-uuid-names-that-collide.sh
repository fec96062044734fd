#!/usr/bin/env bash
# About: pure-uuid 2.0.0, against uuid 11.1.0: UUIDs of version 5, made from names.
# Expected: Different names give different UUIDs, and two libraries give the same UUID for one
#   name.
# Seen: Of every character only the lower eight bits count: "\u0141ukasz" and "Aukasz" give one
#   UUID.
# Meaning: As keys that make a repeat recognisable, they take one order for a repeat of another,
#   which then is never recorded.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts pure-uuid@2.0.0 uuid@11.1.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import PureUuid from 'pure-uuid'
import { v5 } from 'uuid'

const names = ['orders/\u0141ukasz', 'orders/Aukasz']
const pure = names.map((name) => new PureUuid(5, 'ns:URL', name).format())
const standard = names.map((name) => v5(name, v5.URL))
console.log('pure-uuid:', pure.join(' '))
console.log('uuid:     ', standard.join(' '))
assert.equal(pure[0], pure[1])
assert.notEqual(standard[0], standard[1])
assert.equal(pure[1], standard[1])
JS
node run.js
