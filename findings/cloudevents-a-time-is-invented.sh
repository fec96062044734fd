#!/usr/bin/env bash
# About: cloudevents 10.0.0, the SDK of the CNCF for JavaScript.
# Expected: The attribute time is optional: an event without it is read as an event without it.
#   One with it keeps its digits and offset.
# Seen: An event without time gets the moment of reading, another one at each reading; a time with
#   microseconds is cut to milliseconds and moved to UTC.
# Meaning: A consumer cannot tell when something happened from when it was read; replays look as
#   if everything happened today, and events less than a millisecond apart lose their order.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { HTTP } from 'cloudevents'

const read = (time) =>
  HTTP.toEvent({
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({ specversion: '1.0', id: '1', source: '/a', type: 'step', time, data: {} }),
  }).time
const first = read(undefined)
await new Promise((resolve) => setTimeout(resolve, 20))
const second = read(undefined)
const precise = read('2026-01-01T00:00:00.123456+02:00')
console.log('sent without time, read twice:', first, second)
console.log('sent 2026-01-01T00:00:00.123456+02:00, read:', precise)
assert.ok(typeof first === 'string' && first < second)
assert.equal(precise, '2025-12-31T22:00:00.123Z')
JS
node run.js
