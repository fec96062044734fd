#!/usr/bin/env bash
# About: @automerge/automerge 3.5.0, a library for documents that are merged without conflicts.
# Expected: A number of JSON is kept as it is, or refused.
# Seen: Whole numbers above 9,223,372,036,854,775,807 become just that number, without an error;
#   negative ones do not. From 2^53-1 on they are read back as BigInt, which JSON.stringify
#   refuses.
# Meaning: Amounts in the smallest unit of a coin, or measured values such as 1.5e300, are
#   replaced by one constant, and a document that was JSON cannot be written as JSON any more.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @automerge/automerge@3.5.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import * as Automerge from '@automerge/automerge'

const seen = [4503599627370496, 9007199254740991, 1e19, 1.5e300, -1e30].map((sent) => {
  const { got } = Automerge.load(Automerge.save(Automerge.from({ got: sent })))
  console.log('sent', sent, 'got', typeof got, String(got))
  return got
})
assert.deepEqual(seen, [4503599627370496, 9007199254740991n, 9223372036854775807n, 9223372036854775807n, -1e30])
JS
node run.js
