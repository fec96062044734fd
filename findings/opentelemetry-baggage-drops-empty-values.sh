#!/usr/bin/env bash
# About: @opentelemetry/core 3.1.1 with @opentelemetry/api 1.10.0, W3C Baggage.
# Expected: An entry with an empty value ("tenant=") is valid baggage and is passed on.
# Seen: It is dropped on reading; the entries before and behind it are kept.
# Meaning: A service that overrides an entry with nothing cannot say so: the next one sees no
#   entry, and falls back to its default.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts @opentelemetry/core@3.1.1 @opentelemetry/api@1.10.0 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'
import { propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'

const header = 'operation=op-1,tenant=,step=pack'
const context = new W3CBaggagePropagator().extract(
  ROOT_CONTEXT,
  { baggage: header },
  { get: (carrier, key) => carrier[key], keys: Object.keys },
)
const entries = propagation.getBaggage(context).getAllEntries().map(([key, { value }]) => [key, value])
console.log('header:', header)
console.log('read:  ', JSON.stringify(entries))
assert.deepEqual(entries, [
  ['operation', 'op-1'],
  ['step', 'pack'],
])
JS
node run.js
