#!/usr/bin/env bash
# About: immutable-json-patch 6.0.3, JSON Patch by RFC 6902.
# Expected: In an object, "-" is a member name as any other (only in arrays it means the place
#   behind the end).
# Seen: An "add" to /- of an object makes a member named "undefined".
# Meaning: Documents with a column or key "-" (exports of tables have them) get a member nobody
#   wrote, and lose the one that was sent.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts immutable-json-patch@6.0.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { immutableJSONPatch } from 'immutable-json-patch'

const got = immutableJSONPatch({ total: 3 }, [{ op: 'add', path: '/-', value: 'none' }])
console.log('document:', JSON.stringify(got))
assert.deepEqual(got, { total: 3, undefined: 'none' })
JS
node run.js
