#!/usr/bin/env bash
# About: protobufjs 8.8.1.
# Expected: fromObject refuses the name of an enum value that it does not know, or leaves the
#   field out of the message.
# Seen: The field reads as the first value of the enum, and inside of a list the unknown entry is
#   left out. Nothing is reported.
# Meaning: A newer service that reports FAILED is recorded as QUEUED by a consumer with an older
#   schema.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts protobufjs@8.8.1 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import protobuf from 'protobufjs'

const Report = protobuf
  .parse('syntax = "proto3"; enum Status { QUEUED = 0; WORKING = 1; } message Report { Status now = 1; repeated Status seen = 2; }')
  .root.lookupType('Report')
const message = Report.fromObject({ now: 'FAILED', seen: ['WORKING', 'FAILED', 'WORKING'] })
const read = Report.toObject(Report.decode(Report.encode(message).finish()), { enums: String, defaults: true })
console.log('sent: now FAILED, seen WORKING FAILED WORKING')
console.log('read: now', read.now, ' seen', read.seen.join(' '))
assert.equal(read.now, 'QUEUED')
assert.deepEqual(read.seen, ['WORKING', 'WORKING'])
JS
node run.js
