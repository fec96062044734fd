#!/usr/bin/env bash
# About: cron 4.4.0, against croner 10.0.1, on the day when clocks go back.
# Expected: "15 */2 * * *" runs at even hours only: 00:15, 02:15, 04:15.
# Seen: On that day cron runs at 01:15 as well (the second of the two).
# Meaning: Jobs that are kept apart by odd and even hours meet once a year, at night.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts cron@4.4.0 croner@10.0.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { CronTime } from 'cron'
import { Cron } from 'croner'

const zone = 'America/New_York'
const line = '15 */2 * * *'
const local = (date) => date.toLocaleString('sv-SE', { timeZone: zone })
const time = new CronTime(line, zone)
const runs = []
for (let at = new Date('2026-11-01T03:00:00Z'); runs.length < 3; ) {
  at = time.getNextDateFrom(at, zone).toJSDate()
  runs.push(local(at))
}
const others = new Cron(line, { timezone: zone }).nextRuns(3, new Date('2026-11-01T03:00:00Z')).map(local)
console.log('cron:  ', runs.join(', '))
console.log('croner:', others.join(', '))
assert.deepEqual(runs, ['2026-11-01 00:15:00', '2026-11-01 01:15:00', '2026-11-01 02:15:00'])
assert.deepEqual(others, ['2026-11-01 00:15:00', '2026-11-01 02:15:00', '2026-11-01 04:15:00'])
JS
node run.js
