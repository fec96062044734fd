#!/usr/bin/env bash
# About: dayjs 1.11.23 with its duration plugin.
# Expected: A duration with a sign, -PT5M (XML Schema, ISO 8601-2), is five minutes back, as the
#   plugin itself prints negative ones with a sign.
# Seen: The sign is dropped: what the plugin has printed comes back as five minutes forward.
# Meaning: Corrections and clock differences that are stored as durations are applied the wrong
#   way round.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts dayjs@1.11.23 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import dayjs from 'dayjs'
import duration from 'dayjs/plugin/duration.js'

dayjs.extend(duration)
const text = dayjs.duration(-300, 'seconds').toISOString()
const seconds = dayjs.duration(text).asSeconds()
console.log('printed:', text, ' read again:', seconds, 'seconds')
assert.equal(text, '-PT5M')
assert.equal(seconds, 300)
JS
node run.js
