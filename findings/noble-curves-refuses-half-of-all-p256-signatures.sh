#!/usr/bin/env bash
# About: @noble/curves 2.4.0 (P-256), against the signatures of node:crypto.
# Expected: A valid ECDSA signature by P-256 is accepted.
# Seen: About half of them are refused, at random: verify() wants the smaller of the two
#   equivalent values of s. With { lowS: false } all are accepted.
# Meaning: Signed events of honest senders look forged every second time, and sending again seems
#   to help.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @noble/curves@2.4.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { x, y } = publicKey.export({ format: 'jwk' })
const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
const count = 100
let asItComes = 0
let lowSOff = 0
for (let i = 0; i < count; i++) {
  const event = Buffer.from(`event ${i}`)
  const signature = sign('sha256', event, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  if (p256.verify(signature, event, point)) asItComes++
  if (p256.verify(signature, event, point, { lowS: false })) lowSOff++
}
console.log(`accepted as it comes: ${asItComes} of ${count}; with lowS: false: ${lowSOff} of ${count}`)
assert.ok(asItComes > 0 && asItComes < count)
assert.equal(lowSOff, count)
JS
node run.js
