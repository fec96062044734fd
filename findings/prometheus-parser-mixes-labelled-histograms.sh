#!/usr/bin/env bash
# About: parse-prometheus-text-format 1.1.1.
# Expected: A histogram with a label gives one series for every value of the label, each with its
#   buckets, sum and count.
# Seen: All series become one, without labels: the buckets of the last one, no sum and no count.
#   The first ones are gone.
# Meaning: Latencies by service are shown as those of whichever service was printed last, under
#   the name of all.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts parse-prometheus-text-format@1.1.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import parse from 'parse-prometheus-text-format'

const series = (service, fast, all) =>
  [
    `wait_seconds_bucket{service="${service}",le="1"} ${fast}`,
    `wait_seconds_bucket{service="${service}",le="+Inf"} ${all}`,
    `wait_seconds_sum{service="${service}"} ${all}`,
    `wait_seconds_count{service="${service}"} ${all}`,
  ].join('\n')
const text = `# TYPE wait_seconds histogram\n${series('pack', 1, 90)}\n${series('send', 8, 9)}\n`
const [{ metrics }] = parse(text)
console.log(text)
console.log('parsed:', JSON.stringify(metrics))
assert.deepEqual(JSON.parse(JSON.stringify(metrics)), [{ buckets: { 1: '8', '+Inf': '9' } }])
JS
node run.js
