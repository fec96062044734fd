#!/usr/bin/env bash
# About: @breejs/later 4.2.0, the scheduler inside of bree.
# Expected: In a cron line both 0 and 7 stand for Sunday.
# Seen: 7 is Saturday, and the range 5-7 is Friday and Saturday, without the Sunday.
# Meaning: Weekly jobs written with 7 run a day early, while the rest of the system is still at
#   work.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @breejs/later@4.2.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import later from '@breejs/later'

const days = (line) =>
  later
    .schedule(later.parse.cron(line))
    .next(4, new Date('2026-01-01T12:00:00Z'))
    .map((day) => day.toUTCString().slice(0, 3))
    .join(' ')
for (const line of ['0 0 * * 0', '0 0 * * 7', '0 0 * * 5-7']) console.log(line.padEnd(12), days(line))
assert.equal(days('0 0 * * 0'), 'Sun Sun Sun Sun')
assert.equal(days('0 0 * * 7'), 'Sat Sat Sat Sat')
assert.equal(days('0 0 * * 5-7'), 'Fri Sat Fri Sat')
JS
node run.js
