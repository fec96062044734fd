#!/usr/bin/env bash
# About: dayjs 1.11.23 with its utc plugin.
# Expected: The fraction .5 of a second is 500 ms, with and without a zone.
# Seen: Without a zone, .5 is read as 5 ms and .25 as 25 ms; with Z they are 500 and 250 ms.
# Meaning: Printers that cut zeros at the end (PostgreSQL does) write one millisecond time in ten
#   with a short fraction: these jump in front of events that happened before them.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts dayjs@1.11.23 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import dayjs from 'dayjs'
import utc from 'dayjs/plugin/utc.js'

dayjs.extend(utc)
const texts = ['2026-01-01T00:00:00.499', '2026-01-01T00:00:00.5', '2026-01-01T00:00:00.5Z']
const milliseconds = texts.map((text) => dayjs.utc(text).millisecond())
texts.forEach((text, i) => console.log(text.padEnd(24), milliseconds[i], 'ms'))
assert.deepEqual(milliseconds, [499, 5, 500])
JS
node run.js
