#!/usr/bin/env bash
# About: csv-parse 7.0.3 with its option cast_date.
# Expected: Cells that are dates become dates; names with a number in them stay text.
# Seen: "Order 12" becomes 1 December 2001, "step 7" 1 July 2001 and "12-30" 30 December 2001.
# Meaning: Case ids, rooms and step names of a process log turn into dates; different ones fall
#   together, "Order 12" and "Room 12" into one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts csv-parse@7.0.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { parse } from 'csv-parse/sync'

process.env.TZ = 'UTC'
const [row] = parse('Order 12,Room 12,step 7,May 5,12-30,ORD12,2026-06-01\n', { cast: true, cast_date: true })
for (const cell of row) console.log(cell instanceof Date ? cell.toISOString() : JSON.stringify(cell))
assert.ok(row[0] instanceof Date && row[1] instanceof Date)
assert.equal(row[0].getTime(), row[1].getTime())
assert.equal(row[0].toISOString(), '2001-12-01T00:00:00.000Z')
assert.ok(row[2] instanceof Date && row[3] instanceof Date && row[4] instanceof Date)
assert.equal(row[5], 'ORD12')
JS
node run.js
