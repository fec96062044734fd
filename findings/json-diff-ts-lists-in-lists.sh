#!/usr/bin/env bash
# About: json-diff-ts 4.10.4, with its own diff and its own applyChangeset.
# Expected: The differences of two documents, applied to the first, give the second.
# Seen: An entry that was removed from a list inside of a list stays: the result equals neither
#   document. A line on the error console is all that is said.
# Meaning: Tables (lists of rows of cells) that are kept as change sets come back with cells that
#   had been removed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts json-diff-ts@4.10.4 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { applyChangeset, diff } from 'json-diff-ts'

const before = { rows: [['a', 'b'], ['c']] }
const after = { rows: [['a'], ['d']] }
const got = applyChangeset(structuredClone(before), diff(before, after))
console.log('wanted:', JSON.stringify(after))
console.log('got:   ', JSON.stringify(got))
assert.deepEqual(got, { rows: [['a', 'b'], ['d']] })
JS
node run.js
