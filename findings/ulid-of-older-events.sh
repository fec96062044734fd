#!/usr/bin/env bash
# About: ulid 3.0.2 (monotonicFactory) and id128 1.6.6 (UlidMonotonic).
# Expected: A ULID made for a given time holds that time, in its first ten characters.
# Seen: If an id for a later time was made before, the id for the earlier time holds the later
#   one.
# Meaning: An import of history gets ids that all claim the newest time seen so far: sorting or
#   cutting by id mixes years, and nothing reports it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts ulid@3.0.2 id128@1.6.6 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import id128 from 'id128'
import { decodeTime, monotonicFactory } from 'ulid'

const next = monotonicFactory()
next(Date.UTC(2026, 0, 2))
const ulid = new Date(decodeTime(next(Date.UTC(2020, 4, 17)))).toISOString()
id128.UlidMonotonic.generate({ time: Date.UTC(2026, 0, 2) })
const other = id128.UlidMonotonic.generate({ time: Date.UTC(2020, 4, 17) }).time.toISOString()
console.log('asked for 2020-05-17, after an id for 2026-01-02 was made')
console.log('ulid: ', ulid)
console.log('id128:', other)
assert.equal(ulid, '2026-01-02T00:00:00.000Z')
assert.equal(other, '2026-01-02T00:00:00.000Z')
JS
node run.js
