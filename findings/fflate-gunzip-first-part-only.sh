#!/usr/bin/env bash
# About: fflate 0.8.3; the same bytes through zlib of Node.js.
# Expected: A gzip file may be several gzip parts one after the other (RFC 1952, section 2.2), as
#   log shippers write them; all of it is unpacked.
# Seen: gunzipSync gives the first part only and no error. The streaming class Gunzip of the same
#   package gives all.
# Meaning: An upload of rotated or appended logs keeps its first piece and loses the rest, while
#   everything looks complete.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts fflate@0.8.3 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { gunzipSync as nodeGunzip, gzipSync } from 'node:zlib'
import { Gunzip, gunzipSync } from 'fflate'

const file = Buffer.concat([gzipSync('{"line":1}\n'), gzipSync('{"line":2}\n')])
const whole = Buffer.from(gunzipSync(file)).toString()
let streamed = ''
new Gunzip((piece) => {
  streamed += Buffer.from(piece).toString()
}).push(file, true)
console.log('node:zlib: ', JSON.stringify(nodeGunzip(file).toString()))
console.log('gunzipSync:', JSON.stringify(whole))
console.log('Gunzip:    ', JSON.stringify(streamed))
assert.equal(whole, '{"line":1}\n')
assert.equal(streamed, '{"line":1}\n{"line":2}\n')
JS
node run.js
