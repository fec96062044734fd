#!/usr/bin/env bash
# About: papaparse 5.7.1.
# Expected: A file with two columns parted by semicolons is read as two columns, with or without a
#   line break at its end.
# Seen: With the line break that every program writes at the end, the file has one column named
#   "a;b". With three columns, or without the line break, it is read right. skipEmptyLines: true
#   cures it.
# Meaning: Logs exported in Germany or France as case;activity lose their case ids; the test file
#   without a last line break works.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts papaparse@5.7.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import Papa from 'papaparse'

const columns = (text, options) => Papa.parse(text, { header: true, ...options }).meta.fields
const two = 'case;activity\n1;pack\n1;send\n'
const three = 'case;activity;by\n1;pack;A\n1;send;B\n'
console.log('two columns:                    ', columns(two))
console.log('two columns, no last line break:', columns(two.trimEnd()))
console.log('three columns:                  ', columns(three))
console.log('two columns, skipEmptyLines:    ', columns(two, { skipEmptyLines: true }))
assert.deepEqual(columns(two), ['case;activity'])
assert.deepEqual(columns(two.trimEnd()), ['case', 'activity'])
assert.deepEqual(columns(three), ['case', 'activity', 'by'])
assert.deepEqual(columns(two, { skipEmptyLines: true }), ['case', 'activity'])
JS
node run.js
