#!/usr/bin/env bash
# About: cloudevents 10.0.0, the SDK of the CNCF for JavaScript, structured mode.
# Expected: An event whose data is 0, false or "" is read with that data.
# Seen: HTTP.structured writes it, HTTP.toEvent of the same package reads it back without data.
# Meaning: A counter that returns to 0, a switch that is off, a field that was emptied: the
#   receiver sees an event without data and keeps the old value.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { CloudEvent, HTTP } from 'cloudevents'

for (const data of [0, false, '', 1, true, 'x']) {
  const sent = HTTP.structured(new CloudEvent({ id: '1', source: '/meter', type: 'reading', data }))
  const got = HTTP.toEvent(sent).data
  console.log('written:', JSON.stringify(JSON.parse(sent.body).data).padEnd(6), 'read:', got)
  assert.equal(JSON.parse(sent.body).data, data)
  assert.equal(got, data || undefined)
}
JS
node run.js
