#!/usr/bin/env bash
# About: cloudevents 10.0.0, the SDK of the CNCF for JavaScript, binary mode.
# Expected: With datacontenttype application/json, the body is JSON: the string 00123 is written
#   in quotes.
# Seen: A string is written without quotes, under Content-Type: application/json.
# Meaning: A receiver in any language reads the order number "123" as the number 123 and "1e5" as
#   100000, and refuses "00123" and plain words as broken JSON.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts cloudevents@10.0.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { CloudEvent, HTTP } from 'cloudevents'

for (const [data, readsAs] of [
  ['123', 123],
  ['1e5', 100000],
  ['00123', 'no JSON'],
  ['shipped', 'no JSON'],
]) {
  const { headers, body } = HTTP.binary(
    new CloudEvent({ id: '1', source: '/a', type: 'order', datacontenttype: 'application/json', data }),
  )
  let read
  try {
    read = JSON.parse(body)
  } catch {
    read = 'no JSON'
  }
  console.log('sent', JSON.stringify(data), 'body', body, `(${headers['content-type']})`, 'reads as', read)
  assert.equal(body, data)
  assert.equal(read, readsAs)
}
JS
node run.js
