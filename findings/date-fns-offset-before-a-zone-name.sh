#!/usr/bin/env bash
# About: date-fns 4.4.0, parseISO.
# Expected: In the form of RFC 9557 (offset, then the zone name in brackets, as java.time and
#   Temporal print it) the offset counts, or the text is refused.
# Seen: The offset is dropped and the time is read as UTC.
# Meaning: Events of Java services move by their whole offset against those of all others, and by
#   another amount after the clocks change.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts date-fns@4.4.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { parseISO } from 'date-fns'

for (const plain of ['2026-06-01T12:00:00+02:00', '2026-12-01T12:00:00+01:00']) {
  const named = `${plain}[Europe/Berlin]`
  console.log(plain.padEnd(40), parseISO(plain).toISOString())
  console.log(named.padEnd(40), parseISO(named).toISOString())
}
assert.equal(parseISO('2026-06-01T12:00:00+02:00').toISOString(), '2026-06-01T10:00:00.000Z')
assert.equal(parseISO('2026-06-01T12:00:00+02:00[Europe/Berlin]').toISOString(), '2026-06-01T12:00:00.000Z')
assert.equal(parseISO('2026-12-01T12:00:00+01:00[Europe/Berlin]').toISOString(), '2026-12-01T12:00:00.000Z')
JS
node run.js
