#!/usr/bin/env bash
# About: pm4js 0.0.28, process mining in JavaScript; an event log in XES (IEEE 1849).
# Expected: The importer reads all attribute types of XES: string, date, int, float, boolean, id,
#   list.
# Seen: Integers, booleans, ids and lists are left out; dates are cut to milliseconds.
# Meaning: Quantities, prices in cents, counters and yes/no answers of a log are missing, and no
#   statistic over them says why.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private":true,"type":"module"}' >package.json
npm install --loglevel=error --no-audit --no-fund --ignore-scripts pm4js@0.0.28 >/dev/null

cat >run.js <<'JS'
import assert from 'node:assert/strict'

globalThis.self = globalThis
await import('pm4js')
const log = globalThis.XesImporter.apply(`<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
  <trace><string key="concept:name" value="case 1"/><event>
    <string key="concept:name" value="pack"/>
    <date key="time:timestamp" value="2026-01-01T00:00:00.123456+02:00"/>
    <int key="quantity" value="7"/>
    <boolean key="checked" value="false"/>
    <float key="weight" value="1.5"/>
    <id key="batch" value="0190c3d2-0000-7000-8000-000000000001"/>
  </event></trace>
</log>`)
const { attributes } = log.traces[0].events[0]
for (const [key, { value }] of Object.entries(attributes)) console.log(key, value)
assert.deepEqual(Object.keys(attributes), ['concept:name', 'time:timestamp', 'weight'])
assert.equal(attributes['time:timestamp'].value.toISOString(), '2025-12-31T22:00:00.123Z')
process.exit()
JS
node run.js
