#!/usr/bin/env bash
# About: luxon 3.7.2.
# Expected: A local time in a zone, read in January and in July, is the same moment.
# Seen: The hour that comes twice when clocks go back is resolved by the offset that the zone has
#   today: the first one in summer, the second one in winter.
# Meaning: Reading the same log again half a year later moves its events by an hour; a rebuild in
#   winter differs from the one in summer.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts luxon@3.7.2 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { DateTime, Settings } from 'luxon'

const read = (today) => {
  Settings.now = () => Date.parse(today)
  return DateTime.fromISO('2025-10-26T02:30:00', { zone: 'Europe/Berlin' }).toISO()
}
const inWinter = read('2026-01-15T12:00:00Z')
const inSummer = read('2026-07-15T12:00:00Z')
console.log('read in January:', inWinter)
console.log('read in July:   ', inSummer)
assert.equal(inWinter, '2025-10-26T02:30:00.000+01:00')
assert.equal(inSummer, '2025-10-26T02:30:00.000+02:00')
JS
node run.js
